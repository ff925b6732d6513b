"""How limits follow from the profile: which column a constraint grows with, and up to where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.history import Floats
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.surrogate import Aggregate

_LEAST_CORRELATION = 0.5
"""Rank correlation from which on a column explains a constraint."""

_EQUAL = 0.02
"""Difference of rank correlations up to which the column is taken that a line fits best."""

_FEWEST = 4
"""Number of trials from which on a constraint is looked at."""


@dataclass(frozen=True)
class ColumnLimit:
    """A limit on the total of a column, instead of one on a metric.

    Args:
        aggregate: the column and how it is totalled over the layers.
        most: the total at which the constraint is expected to be met exactly.
        scatter: standard deviation of constraints around what the total says, in logarithms of
            the total (``is_logarithmic``) or in its unit.
        is_logarithmic: whether the constraint follows the logarithm of the total, as decibels do.
    """

    aggregate: Aggregate
    most: float
    scatter: float
    is_logarithmic: bool

    def budget(self, caution: float) -> float:
        """The total that is so many standard deviations on the safe side."""
        if self.is_logarithmic:
            return self.most * float(np.exp(-caution * self.scatter))
        return self.most - caution * self.scatter


def explain_limits(profiles: Profiles) -> tuple[ColumnLimit, ...] | None:
    """Finds, for every constraint that some trial violated, the column that it grows with.

    The column is the one whose total has the highest rank correlation with the constraint. Where
    the constraint is met exactly is read off a line through the trials, those near the limit
    counting most: every trial that violates it, or meets it more easily than expected, moves it.

    Returns:
        One limit per such constraint, none where nothing was violated; None where no column
        explains one of them.
    """
    found: list[ColumnLimit] = []
    for constraint in _violated(profiles.constraints).values():
        limit = _explain(profiles, constraint)
        if limit is None:
            return None
        found.append(limit)
    return tuple(found)


def least_multiplier(
    is_met: Callable[[float], bool], start: float, *, doublings: int = 30, halvings: int = 14
) -> tuple[float, float]:
    """Brackets the least multiplier of a limit's column at which what is found meets the limit.

    Args:
        is_met: finds the best for a multiplier and says whether it meets the limit.
        start: where to begin.
        doublings: number of times that it is doubled at most.
        halvings: number of times that the bracket is halved.

    Returns:
        A multiplier that is too small, and one that is large enough or as large as it gets.
    """
    low, high = 0.0, start
    for _ in range(doublings):
        if is_met(high):
            break
        low, high = high, 2.0 * high
    for _ in range(halvings):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_met(middle) else (middle, high)
    return low, high


def _violated(constraints: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    names = dict.fromkeys(name for row in constraints for name, value in row.items() if value > 0)
    return {name: np.array([row.get(name, np.nan) for row in constraints]) for name in names}


def _explain(profiles: Profiles, constraint: Floats) -> ColumnLimit | None:
    usable = np.isfinite(constraint)
    if usable.sum() < _FEWEST:
        return None
    constraint = constraint[usable]
    ranks = _ranks(constraint)
    options: list[tuple[float, Aggregate, Floats]] = []
    for kind in (SUM, MAX):
        totals = profiles.totals(kind)[usable]
        for column in range(len(profiles.columns)):
            correlation = _correlate(_ranks(totals[:, column]), ranks)
            options.append((correlation, Aggregate(column, kind), totals[:, column]))
    best = max((correlation for correlation, _, _ in options), default=0.0)
    if best < _LEAST_CORRELATION:
        return None
    lines = [
        _ConstraintLine(rest, crossing, scatter, is_logarithmic, aggregate)
        for correlation, aggregate, total in options
        if correlation >= best - _EQUAL
        for is_logarithmic in (False, True)
        for rest, crossing, scatter in _lines(total, constraint, is_logarithmic=is_logarithmic)
    ]
    closest = min(lines, key=lambda line: line.rest, default=None)
    if closest is None:
        return None
    most = float(np.exp(closest.crossing)) if closest.is_logarithmic else closest.crossing
    return ColumnLimit(closest.aggregate, most, closest.scatter, closest.is_logarithmic)


@dataclass(frozen=True)
class _ConstraintLine:
    """A constraint as a line over the total of a column, or over its logarithm."""

    rest: float
    crossing: float
    scatter: float
    is_logarithmic: bool
    aggregate: Aggregate


def _lines(
    totals: Floats, constraint: Floats, *, is_logarithmic: bool
) -> Iterator[tuple[float, float, float]]:
    """Fits a line, trials near the limit counting most.

    Yields:
        The deviation from it, where it crosses 0, and the deviation along the totals; nothing
        where it does not rise.
    """
    if is_logarithmic:
        positive = totals > 0
        if positive.sum() < _FEWEST or not (constraint[positive] > 0).any():
            return
        totals, constraint = totals[positive], constraint[positive]
    places = np.log(totals) if is_logarithmic else totals
    near = float(
        np.sort(np.abs(constraint))[min(len(constraint) - 1, max(3, len(constraint) // 5))]
    )
    weights = 1.0 / (1.0 + (constraint / max(near, 1e-12)) ** 2)
    weights = weights / weights.sum()
    centre, level = float(weights @ places), float(weights @ constraint)
    spread = float(weights @ (places - centre) ** 2)
    if spread <= 0.0:
        return
    slope = float(weights @ ((places - centre) * (constraint - level))) / spread
    if slope <= 0.0:
        return
    rest = constraint - level - slope * (places - centre)
    deviation = float(np.sqrt(weights @ rest**2))
    yield deviation, centre - level / slope, deviation / slope


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values having the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[inverse.reshape(-1)])


def _correlate(one: Floats, other: Floats) -> float:
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
