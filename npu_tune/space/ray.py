"""Search spaces as a Ray Tune ``param_space``, and configurations back from its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.space.knob import Configuration, SearchSpace, Value
from npu_tune.space.optuna import from_params, to_params
from npu_tune.validation import closest_hint


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


def to_ray_config(space: SearchSpace, configuration: Mapping[str, Value]) -> dict[str, Any]:
    """What Ray Tune hands to a trainable for a configuration: nested as :func:`to_param_space`.

    Args:
        space: of the configuration.
        configuration: or a mapping of some values, the others at their defaults.
    """
    nested: dict[str, Any] = {}
    for name, value in to_params(space, configuration).items():
        _insert(nested, name, value)
    return nested


def from_ray_config(space: SearchSpace, config: Mapping[str, Any]) -> Configuration:
    """The configuration behind what Ray Tune hands to a trainable.

    Knobs that are missing stand at their defaults. A key without ``/`` whose value is no dict is
    no knob, which always has a layer before it: it belongs to whoever wrote the ``param_space``,
    or to Ray Tune itself, as ``__trial_index__`` of its ``Repeater``.

    Raises:
        StudyMismatchError: if ``config`` names a knob or a value that the space has not.
        UsageError: if there is no knob in it.
    """
    chosen = {name: v for name, v in flat_config(config).items() if is_knob_name(space, name)}
    for name in chosen:
        if name not in space.by_name:
            raise unknown_knob(space, name)
    if not chosen and space.knobs:
        raise UsageError(
            "The trial's config chooses no knob.",
            remedy="Give the Tuner a space: `param_space=param_space(problem.space)`, or a "
            "searcher that has one, `tune_config=TuneConfig(search_alg=search_algorithm(...))`.",
        )
    return from_params(space, to_params(space, {}) | chosen)


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A nested ``config`` or ``param_space`` by full names, joined with ``/``."""
    return dict(_flat(config, ""))


def is_knob_name(space: SearchSpace, name: str) -> bool:
    """True for the name of a knob, right or wrong; False for a key that is somebody else's.

    Args:
        space: whose names are knobs whatever they look like.
        name: as of :func:`flat_config`.
    """
    first, separator, _ = name.partition("/")
    is_of_ray = len(first) > 4 and first.startswith("__") and first.endswith("__")
    return name in space.by_name or (bool(separator) and not is_of_ray)


def unknown_knob(space: SearchSpace, name: str) -> StudyMismatchError:
    """The error for a name that is no knob's, with the closest one that is."""
    return StudyMismatchError(
        f"The search space has no knob {name!r}.",
        remedy=f"{closest_hint(name, space.by_name)}`npu-tune space` lists the knobs of a network; "
        "write keys of your own without `/` and not as dicts.",
        knob=name,
    )


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
