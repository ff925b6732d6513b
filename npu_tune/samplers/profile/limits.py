"""How limits follow from the profile: which column a constraint grows with, and up to where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.history import Floats
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.surrogate import Aggregate

_LEAST_CORRELATION = 0.5
"""Rank correlation from which on a column explains a constraint."""

_EQUAL = 0.02
"""Difference of rank correlations up to which the sum of the earlier column is taken."""

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
    ranks = _ranks(constraint[usable])
    best: tuple[float, Aggregate, Floats] | None = None
    for kind in (SUM, MAX):
        totals = profiles.totals(kind)
        for column in range(len(profiles.columns)):
            total = totals[usable, column]
            correlation = _correlate(_ranks(total), ranks)
            if best is None or correlation > best[0] + _EQUAL:
                best = correlation, Aggregate(column, kind), total
    if best is None or best[0] < _LEAST_CORRELATION:
        return None
    return _fit_limit(best[1], best[2], constraint[usable])


def _fit_limit(aggregate: Aggregate, totals: Floats, constraint: Floats) -> ColumnLimit | None:
    positive = totals > 0
    lines = [_line(totals, constraint, is_logarithmic=False)]
    if positive.sum() >= _FEWEST and (constraint[positive] > 0).any():
        lines.append(_line(totals[positive], constraint[positive], is_logarithmic=True))
    usable = [line for line in lines if line is not None]
    if not usable:
        return None
    _, crossing, scatter, is_logarithmic = min(usable)
    most = float(np.exp(crossing)) if is_logarithmic else crossing
    return ColumnLimit(aggregate, most, scatter, is_logarithmic)


def _line(
    totals: Floats, constraint: Floats, *, is_logarithmic: bool
) -> tuple[float, float, float, bool] | None:
    """Fits a line, trials near the limit counting most.

    Returns:
        The rest relative to the constraint's spread, where the line crosses 0, the scatter along
        the totals, and ``is_logarithmic``; None where the line does not rise.
    """
    places = np.log(totals) if is_logarithmic else totals
    near = float(np.sort(np.abs(constraint))[min(len(constraint) - 1, max(3, len(constraint) // 5))])
    weights = 1.0 / (1.0 + (constraint / max(near, 1e-12)) ** 2)
    weights = weights / weights.sum()
    centre, level = float(weights @ places), float(weights @ constraint)
    spread = float(weights @ (places - centre) ** 2)
    if spread <= 0.0:
        return None
    slope = float(weights @ ((places - centre) * (constraint - level))) / spread
    if slope <= 0.0:
        return None
    rest = constraint - level - slope * (places - centre)
    deviation = float(np.sqrt(weights @ rest**2))
    return deviation, centre - level / slope, deviation / slope, is_logarithmic


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values having the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[inverse.reshape(-1)])


def _correlate(one: Floats, other: Floats) -> float:
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
