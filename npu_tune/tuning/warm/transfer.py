"""Starts of one search, made of what another one found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from npu_tune.errors import EvaluationError
from npu_tune.space import NETWORK_SCOPE, Configuration, SearchSpace, Value
from npu_tune.targets import Goal
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.warm.lessons import value_here
from npu_tune.tuning.warm.matching import Match
from npu_tune.tuning.warm.source import WarmSource, WarmTrial


@dataclass(frozen=True)
class TransferSettings:
    """Numbers of a transfer.

    Args:
        best: how many of the source's best are taken as they are where it is about the same
            network.
        tilt: by how much the weights of the objective are tilted towards each of its metrics, for
            what is better there than where it comes from.
        costly: share of the baseline's cost whose layers alone are changed in one start.
        most: starts of a source at most.
    """

    best: int = 4
    tilt: float = 3.0
    costly: float = 0.7
    most: int = 10


@dataclass(frozen=True)
class WarmStart:
    """A start out of another study.

    Args:
        label: says what it is and where from.
        changes: values by full name of the knob, for the default or for the best that is known
            when its turn comes.
        upon_best: whether it is the latter.
    """

    label: str
    changes: Mapping[str, Value]
    upon_best: bool = False

    def placed(self, space: SearchSpace, best: Configuration | None) -> Configuration:
        """The configuration that it stands for.

        Args:
            space: of the search.
            best: that is known so far; None for the default.
        """
        base = best if self.upon_best and best is not None else space.default
        return space.effective(base.replace(self.changes))


def transfers(
    source: WarmSource,
    match: Match,
    space: SearchSpace,
    objective: Objective,
    *,
    same_network: bool,
    settings: TransferSettings = TransferSettings(),
) -> list[WarmStart]:
    """What is worth trying of a source, best guesses first; each once.

    Args:
        source: what is known.
        match: which of its layers stands for which.
        space: of the search.
        objective: of the search, by which the source's trials are weighed anew.
        same_network: whether the source is about the same network, whose limits are its own.
        settings: numbers.
    """
    plan = _of_same_network if same_network else _of_another
    orders = {
        label: _ranked(source, objective, weights, limited=same_network)
        for label, weights in _weightings(objective, settings.tilt)
    }
    found: dict[tuple[object, ...], WarmStart] = {}
    for label, values, upon_best in plan(source, orders, settings):
        changes = _transferred(source, values, match, space, upon_best=upon_best)
        known = (upon_best, *sorted(changes.items()))
        if changes and known not in found:
            found[known] = WarmStart(f"{label} of {source.name}", changes, upon_best)
    return list(found.values())[: settings.most]


_Guess = tuple[str, Mapping[str, Value], bool]
"""A label, values of knobs there, and whether they are set upon the best that is known here."""


def _of_same_network(
    source: WarmSource, orders: Mapping[str, Sequence[WarmTrial]], settings: TransferSettings
) -> Iterator[_Guess]:
    best = orders[_BEST][: settings.best]
    for number, known in enumerate(best, start=1):
        yield f"best {number}" if number > 1 else _BEST, known.changes, False
    yield from _upon(source, orders[_BEST], _BEST)
    for label, order in orders.items():
        if label != _BEST and order:
            yield label, order[0].changes, False


def _of_another(
    source: WarmSource, orders: Mapping[str, Sequence[WarmTrial]], settings: TransferSettings
) -> Iterator[_Guess]:
    for known in orders[_BEST][:1]:
        yield from _upon(source, orders[_BEST], _BEST)
        costly = _costly_layers(source, settings.costly)
        only = {name: v for name, v in known.changes.items() if _layer(name) in costly}
        yield f"costly layers of the {_BEST}, upon the best here,", only, True
    for label, order in orders.items():
        if label != _BEST:
            yield from islice(_upon(source, order, label), 1)


_BEST = "best"


def _upon(source: WarmSource, order: Sequence[WarmTrial], label: str) -> Iterator[_Guess]:
    """What a search found beyond the target's plans, and all of it, upon the best that is known."""
    planned = next((known for known in order if known.is_planned), None)
    if not order:
        return
    before = {} if planned is None else planned.changes
    after = order[0].changes
    beyond = {
        name: after.get(name, source.default[name])
        for name in (*after, *before)
        if after.get(name) != before.get(name)
    }
    yield f"what the {label} has beyond plans, upon the best here,", beyond, True
    yield f"{label}, upon the best here,", after, True


def _weightings(objective: Objective, tilt: float) -> Iterator[tuple[str, Mapping[str, float]]]:
    yield _BEST, objective.weights
    for name in objective.weights if len(objective.weights) > 1 else ():
        yield (
            f"best in {name}",
            {n: weight * (tilt if n == name else 1.0) for n, weight in objective.weights.items()},
        )


def _ranked(
    source: WarmSource, objective: Objective, weights: Mapping[str, float], *, limited: bool
) -> list[WarmTrial]:
    """What is known, the best first; where limits hold there as well, what meets them first."""
    baseline = source.baseline.metrics
    needed = set(weights) | (set(objective.limits) | set(objective.floors) if limited else set())
    goals = {
        name: -1.0 if objective.directions.get(name) == Goal.MAXIMIZE else 1.0 for name in weights
    }

    def rank(known: WarmTrial) -> tuple[float, float, int]:
        shares = objective.constraints(known.metrics).values() if limited else ()
        cost = sum(
            weight * goals[name] * known.metrics[name] / (baseline[name] or 1.0)
            for name, weight in weights.items()
        )
        return sum(max(share, 0.0) for share in shares), cost, len(known.changes)

    usable = (known for known in source.known if known.changes and needed <= set(known.metrics))
    return sorted(usable, key=rank) if set(weights) <= set(baseline) else []


def _costly_layers(source: WarmSource, share: float) -> frozenset[str]:
    """The fewest layers of the source that make up a share of what its baseline costs."""
    costs = {layer: row.get(source.cost, 0.0) for layer, row in source.baseline.profile.items()}
    left, kept = share * sum(costs.values()), set()
    for layer in sorted(costs, key=lambda each: -costs[each]):
        if left <= 0:
            break
        left -= costs[layer]
        kept.add(layer)
    return frozenset(kept)


def _transferred(
    source: WarmSource,
    values: Mapping[str, Value],
    match: Match,
    space: SearchSpace,
    *,
    upon_best: bool,
) -> dict[str, Value]:
    """Values of knobs there as values here, as far as there are such.

    A default there stands for the default here. What is legal value by value but not in its
    company is left out, layer by layer.
    """
    by_layer: dict[str, dict[str, Value]] = {}
    for name, value in values.items():
        by_layer.setdefault(_layer(name), {})[name.rpartition("/")[2]] = value
    found: dict[str, Value] = {}
    for layer in space.layers:
        there = layer if layer == NETWORK_SCOPE else match.of.get(layer, "")
        own = {}
        for knob, value in by_layer.get(there, {}).items():
            here = space.by_name.get(f"{layer}/{knob}")
            if here is not None:
                stands = value_here(here, value, source.default[f"{there}/{knob}"])
                if stands is not None:
                    own[here.full_name] = stands
        if own and _is_legal(space, {**found, **own}):
            found |= own
    if upon_best:
        return found
    return space.effective(space.configuration(found)).difference(space.default)


def _layer(name: str) -> str:
    return name.rpartition("/")[0]


def _is_legal(space: SearchSpace, changes: Mapping[str, Value]) -> bool:
    try:
        space.check(space.effective(space.configuration(changes)))
    except EvaluationError:
        return False
    return True
