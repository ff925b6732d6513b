"""What the cache knows of networks on targets of one family."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from npu_tune.errors import StorageError
from npu_tune.evaluation.cache import Cache
from npu_tune.evaluation.store import Store
from npu_tune.targets import Identity, Problem
from npu_tune.tuning.warm.matching import match_layers
from npu_tune.tuning.warm.source import WarmSource, WarmTrial, family_of
from npu_tune.tuning.warm.traits import LayerTraits, layer_traits

MOST_SOURCES = 3
"""Of the cache: those whose layers match best."""

LEAST_EVALUATIONS = 50
"""Fewer say little that the target's own plans do not."""

MOST_ROWS = 5_000
"""Of a problem; more would only take long to read."""


def cache_sources(cache: Cache, problem: Problem) -> list[WarmSource]:
    """What a cache has of targets of the same family, what is most like the problem first.

    That is the same network before another one, the same target before another one, and then
    what has most layers of the same shapes.

    Args:
        cache: to look into; files of it that cannot be read are passed over.
        problem: of the search.
    """
    layers = layer_traits(problem.network, problem.space.layers)
    found = []
    for source in _sources(cache, problem):
        match = match_layers(layers, source.layers)
        rank = (
            source.identity.model_sha256 != problem.identity.model_sha256,
            source.identity.target != problem.identity.target,
            -match.exact,
            -len(match.of),
            -len(source.known),
            source.identity.digest,
        )
        if match.of:
            found.append((rank, source))
    return [source for _, source in sorted(found, key=lambda each: each[0])][:MOST_SOURCES]


def _sources(cache: Cache, problem: Problem) -> Iterator[WarmSource]:
    for file in cache.files():
        if file.is_damaged:
            continue
        try:
            with Store(file.path) as store:
                about = store.about()
                if not about or not about["deterministic"]:
                    continue
                if family_of(about["identity"]["target"]) != family_of(problem.target.name):
                    continue
                source = _source(about, store)
        except StorageError:
            continue
        if source is not None and len(source.known) >= LEAST_EVALUATIONS:
            yield source


def _source(about: dict[str, Any], store: Store) -> WarmSource | None:
    known = [
        WarmTrial(row.changes, row.outcome.evaluation.metrics, row.outcome.evaluation.profile)
        for row in islice(store.rows(), MOST_ROWS)
        if row.outcome.evaluation is not None
    ]
    baseline = next((each for each in known if not each.changes), None)
    if baseline is None:
        return None
    identity = Identity.from_dict(about["identity"])
    return WarmSource(
        name=f"the cache of {about['model']['name']} on {identity.target}",
        identity=identity,
        model=about["model"]["name"],
        layers={name: LayerTraits.of_list(each) for name, each in about["layers"].items()},
        default=about["default"],
        baseline=baseline,
        known=known,
        cost=about["cost"],
    )
