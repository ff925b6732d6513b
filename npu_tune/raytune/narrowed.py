"""A ``param_space`` beside a searcher: what it leaves to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)

from npu_tune.errors import UsageError
from npu_tune.space import Knob, SearchSpace, flat_config, is_knob_name, to_params, unknown_knob
from npu_tune.space import to_distributions as every_distribution

_NO_SEARCHER = (
    "Leave `search_alg` out, so that Ray Tune goes through it, or take it out of `param_space`."
)


def narrowed(
    space: SearchSpace, param_space: Mapping[str, Any]
) -> dict[str, BaseDistribution] | None:
    """The distributions of all knobs where a ``param_space`` names some; None where it names none.

    A knob with a domain (``tune.choice``, ``tune.randint``) is searched in it, one with a value is
    fixed at it, and all others stand at their defaults.

    Args:
        space: all that may be chosen.
        param_space: what the Tuner was given.

    Raises:
        UsageError: if it leaves a choice that a searcher of knobs cannot make.
        StudyMismatchError: if it names a knob that the space has not.
    """
    given = _distributions(param_space)
    fixed = {
        name: value
        for name, value in flat_config(param_space).items()
        if name not in given and is_knob_name(space, name)
    }
    for name in [*given, *fixed]:
        if not is_knob_name(space, name):
            raise UsageError(
                f"`param_space` leaves {name!r} to choose, which is no knob of the network.",
                remedy=_NO_SEARCHER,
                key=name,
            )
        if name not in space.by_name:
            raise unknown_knob(space, name)
    if not given and not fixed:
        return None
    default = to_params(space, {}) | fixed
    return {
        name: _within(space.by_name[name], whole, given[name])
        if name in given
        else _single(space.by_name[name], whole, default[name])
        for name, whole in every_distribution(space).items()
    }


def _distributions(param_space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """What Ray Tune's domains are to Optuna, by full name."""
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415 - takes seconds
    from ray.tune.search.variant_generator import parse_spec_vars  # noqa: PLC0415

    _, domains, grids = parse_spec_vars(dict(param_space))
    for path, _ in grids:
        raise UsageError(
            f"`param_space` has a grid at {'/'.join(map(str, path))!r}, and a searcher goes "
            "through none.",
            remedy=_NO_SEARCHER,
        )
    try:
        return {
            "/".join(map(str, path)): OptunaSearch.convert_search_space({"knob": domain})["knob"]
            for path, domain in domains
        }
    except ValueError as error:
        raise UsageError(
            f"`param_space` cannot be searched: {str(error).rstrip('.')}.", remedy=_NO_SEARCHER
        ) from error


def _within(
    knob: Knob, whole: BaseDistribution, given: BaseDistribution
) -> IntDistribution | CategoricalDistribution:
    """What a domain leaves of a knob's values."""
    if isinstance(given, CategoricalDistribution):
        offered = list(given.choices)
    elif isinstance(given, IntDistribution) and isinstance(whole, IntDistribution):
        if given.step == 1 and whole.low <= given.low and given.high <= whole.high:
            return given
        offered = list(range(given.low, given.high + 1, given.step))
    else:
        raise _outside(knob, given)
    known = range(len(knob.values)) if knob.ordered else knob.values
    if any(value not in known for value in offered):
        raise _outside(knob, given)
    return CategoricalDistribution(offered)


def _single(
    knob: Knob, whole: BaseDistribution, value: Any
) -> IntDistribution | CategoricalDistribution:
    given = CategoricalDistribution([value])
    _within(knob, whole, given)
    return IntDistribution(value, value) if knob.ordered else given


def _outside(knob: Knob, given: BaseDistribution) -> UsageError:
    offers = (
        f"a number from 0 to {len(knob.values) - 1}, which stands for one of {knob.values!r}"
        if knob.ordered
        else f"one of {knob.values!r}"
    )
    return UsageError(
        f"`param_space` gives the knob {knob.full_name!r} {given}.",
        remedy=f"It takes {offers}.",
        knob=knob.full_name,
    )
