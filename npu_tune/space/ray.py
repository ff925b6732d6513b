"""Search spaces as a Ray Tune ``param_space``, and configurations back from its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from npu_tune.errors import UsageError
from npu_tune.space.knob import Configuration, SearchSpace
from npu_tune.space.optuna import from_params


def to_param_space(space: SearchSpace) -> dict[str, Any]:
    """The space as nested dicts of Ray Tune domains: ``randint`` if ordered, else ``choice``.

    Ray Tune reads a ``/`` in a name as nesting and its ``OptunaSearch`` joins nested names with
    ``/`` again, so the nested form gives the same parameter names as a study of this package.

    Raises:
        UsageError: if the name of one knob is the beginning of the name of another.
    """
    from ray import tune  # noqa: PLC0415 - takes seconds, and most commands do without Ray

    nested: dict[str, Any] = {}
    for knob in space.knobs:
        domain = (
            tune.randint(0, len(knob.values)) if knob.ordered else tune.choice(list(knob.values))
        )
        _insert(nested, knob.full_name, domain)
    return nested


def from_ray_config(space: SearchSpace, config: Mapping[str, Any]) -> Configuration:
    """The configuration behind what Ray Tune hands to a trainable.

    Keys between double underscores are no knobs unless the space has them: Ray Tune adds such
    to what a search proposes, as its ``Repeater`` does (``__trial_index__``).

    Raises:
        StudyMismatchError: if ``config`` is not a sample of this space.
    """
    params = dict(_flat(config, ""))
    return from_params(
        space, {name: params[name] for name in params if name in space.by_name or _is_knob(name)}
    )


def _is_knob(name: str) -> bool:
    first = name.partition("/")[0]
    return not (len(first) > 4 and first.startswith("__") and first.endswith("__"))


def _insert(nested: dict[str, Any], name: str, domain: Any) -> None:
    *path, last = name.split("/")
    inner: Any = nested
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            break
    if not isinstance(inner, dict) or last in inner:
        raise UsageError(
            f"Ray Tune cannot hold the knob {name!r} beside another whose name begins alike.",
            remedy="Rename the layer in the model file, or tune without Ray Tune.",
            knob=name,
        )
    inner[last] = domain


def _flat(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value
