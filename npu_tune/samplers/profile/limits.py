"""How limits follow from the profile: which column a constraint grows with, and up to where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate

_LEAST_CORRELATION = 0.5
"""Rank correlation from which on a column explains a constraint."""

_EQUAL = 0.02
"""Difference of rank correlations up to which the column is taken that a line fits best."""

_FEWEST = 4
"""Number of trials from which on a constraint is looked at."""

_LARGEST_EXPONENT = 30.0
"""Totals further beyond the limit, in logarithms, all count as so far: larger ones overflow."""


@dataclass(frozen=True)
class ColumnLimit:
    """A limit on the total of a column, instead of one on a metric.

    Args:
        aggregate: the column and how it is totalled over the layers.
        most: the total at which the constraint is expected to be met exactly.
        scatter: standard deviation of constraints around what the total says, in logarithms of
            the total (``is_logarithmic``) or in its unit.
        is_logarithmic: whether the constraint follows the logarithm of the total, as decibels do.
        slope: by how much the constraint rises with the total, or with its logarithm.
        constraint: its name.
    """

    aggregate: Aggregate
    most: float
    scatter: float
    is_logarithmic: bool
    slope: float
    constraint: str

    def totals_at(self, constraints: Floats) -> Floats:
        """The totals at which the constraint is expected to have these values."""
        beyond = constraints / self.slope
        if self.is_logarithmic:
            return np.asarray(self.most * np.exp(np.minimum(beyond, _LARGEST_EXPONENT)))
        return np.asarray(self.most + beyond)

    def budget(self, caution: float) -> float:
        """The total that is so many standard deviations on the safe side."""
        if self.is_logarithmic:
            return self.most * float(np.exp(-caution * self.scatter))
        return self.most - caution * self.scatter


def explain_limits(profiles: Profiles) -> tuple[ColumnLimit, ...] | None:
    """Finds, for every constraint that some trial violated, the column that it grows with.

    The column is the one whose total has the highest rank correlation with the constraint. Where
    the constraint is met exactly is read off a line through the trials. All of them tell its slope:
    those of a search that has come close to the limit have nearly the same total, and would tell
    none. Those near the limit tell where it crosses 0: every trial that violates it, or meets it
    more easily than expected, moves it.

    Returns:
        One limit per such constraint, none where nothing was violated; None where no column
        explains one of them.
    """
    found: list[ColumnLimit] = []
    for name, constraint in _violated(profiles.constraints).items():
        limit = _explain(profiles, name, constraint)
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


def _explain(profiles: Profiles, name: str, constraint: Floats) -> ColumnLimit | None:
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
        line
        for correlation, aggregate, total in options
        if correlation >= best - _EQUAL
        for is_logarithmic in (False, True)
        for line in _lines(total, constraint, aggregate, is_logarithmic=is_logarithmic)
    ]
    closest = min(lines, key=lambda line: line.deviation, default=None)
    return None if closest is None else closest.limit(name)


@dataclass(frozen=True)
class _ConstraintLine:
    """A constraint as a line over the total of a column, or over its logarithm.

    Args:
        aggregate: the column and how it is totalled.
        is_logarithmic: whether it is a line over logarithms.
        slope: of the line.
        crossing: the total, or its logarithm, at which the line is 0.
        deviation: standard deviation of constraints from the line.
    """

    aggregate: Aggregate
    is_logarithmic: bool
    slope: float
    crossing: float
    deviation: float

    def limit(self, constraint: str) -> ColumnLimit:
        most = float(np.exp(self.crossing)) if self.is_logarithmic else self.crossing
        scatter = self.deviation / self.slope
        return ColumnLimit(
            self.aggregate, most, scatter, self.is_logarithmic, self.slope, constraint
        )


def _lines(
    totals: Floats, constraint: Floats, aggregate: Aggregate, *, is_logarithmic: bool
) -> Iterator[_ConstraintLine]:
    """Fits a line: its slope to all trials alike, the rest mostly to those near the limit.

    Yields:
        The line; nothing where it does not rise.
    """
    if is_logarithmic:
        positive = totals > 0
        if positive.sum() < _FEWEST or not (constraint[positive] > 0).any():
            return
        totals, constraint = totals[positive], constraint[positive]
    places = np.log(totals) if is_logarithmic else totals
    apart = places - places.mean()
    spread = float(apart @ apart)
    if spread <= 0.0:
        return
    slope = float(apart @ (constraint - constraint.mean())) / spread
    if slope <= 0.0:
        return
    near = float(
        np.sort(np.abs(constraint))[min(len(constraint) - 1, max(3, len(constraint) // 5))]
    )
    weights = 1.0 / (1.0 + (constraint / max(near, 1e-12)) ** 2)
    weights = weights / weights.sum()
    above = constraint - slope * places
    level = float(weights @ above)
    deviation = float(np.sqrt(weights @ (above - level) ** 2))
    yield _ConstraintLine(aggregate, is_logarithmic, slope, -level / slope, deviation)


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values having the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[inverse.reshape(-1)])


def _correlate(one: Floats, other: Floats) -> float:
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
