"""Scores of trials, and the beam of the best ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from npu_tune.samplers.arrays import Floats, Integers, Mask
from npu_tune.samplers.history import History

Scalarization: TypeAlias = Sequence[float] | Callable[[Sequence[float]], float]
"""Weights of the objectives relative to the first completed trial, or a function to minimise."""


_FEW = 16
"""So many lowest scores are found faster one by one than by sorting all."""

_NOTHING = 1e-40
"""Values up to here are not divided by: squares of the quotients would overflow."""


@dataclass(frozen=True)
class View:
    """The trials of a history seen along one direction.

    Args:
        scores: per point, lower is better; infinite where the trial failed.
        beam: indices of the points kept, best first.
        plain: the scores, infeasible trials no worse for it.
    """

    scores: Floats
    beam: tuple[int, ...]
    plain: Floats


def view(
    history: History, *, width: int, scalarization: Scalarization | None, turn: int
) -> View | None:
    """Scores the trials and picks the ones to build upon; None while none has completed.

    Of noisy trials of one point the mean counts. Feasible trials come before infeasible ones, and these in the order of their violation. With
    several objectives and no ``scalarization`` every other turn looks along equal weights, and
    those between along the weights of one of the trials that are spread over the Pareto front.

    Args:
        history: the trials.
        width: how many are kept.
        scalarization: how several objectives become one score.
        turn: a running number that decides on the weights.
    """
    values = history.mean_values
    completed: Mask = np.logical_not(np.isnan(values).any(axis=1))
    if not completed.any():
        return None
    numbers = history.number_column
    relative: Floats = values / first_scale(values[completed], numbers[completed])
    violations = history.mean_violations
    if callable(scalarization):
        scores = np.array(
            [scalarization(v) if ok else np.inf for v, ok in zip(values, completed, strict=True)]
        )
    elif scalarization is not None:
        scores = relative @ np.asarray(scalarization, dtype=np.float64)
    elif values.shape[1] == 1:
        scores = relative[:, 0]
    else:
        eligible = (
            completed & (violations <= 0) if (violations[completed] <= 0).any() else completed
        )
        scores = relative @ _weights(relative, eligible, turn)
    plain = np.where(completed, scores, np.inf)
    scores = _feasible_first(plain, violations, completed)
    return View(scores, _best(scores, numbers, width), plain)


def first_scale(values: Floats, numbers: Floats | Integers) -> Floats:
    """Absolute values of the first completed trial, by which objectives are normalised."""
    first = np.abs(values[np.argmin(numbers)])
    return np.where(first > _NOTHING, first, 1.0)


def emphasis(turn: int, count: int) -> Floats:
    """Factors of ``count`` objectives for a turn, spread evenly over all turns."""
    # The multiples of the golden ratio are spread evenly.
    raised = np.array([(turn * 0.6180339887 * (axis + 1)) % 1.0 for axis in range(count)])
    return np.asarray(np.exp(3.0 * (raised - raised.mean())))


def _feasible_first(scores: Floats, violations: Floats, completed: Mask) -> Floats:
    infeasible = completed & (violations > 0)
    if not infeasible.any():
        return scores
    feasible = completed & ~infeasible
    worst = scores[feasible].max() if feasible.any() else 0.0
    spread = max(np.ptp(scores[feasible]) if feasible.any() else 0.0, abs(worst) * 0.1, 1e-9)
    relative = violations / violations[infeasible].max()
    return np.where(infeasible, worst + spread * (0.01 + relative), scores)


def _weights(relative: Floats, eligible: Mask, turn: int) -> Floats:
    """Weights of the objectives for this turn, all positive."""
    count = relative.shape[1]
    equal = np.full(count, 1.0 / count)
    if turn % 2 == 0:
        return equal
    front = relative[eligible]
    extent = np.maximum(np.ptp(front, axis=0), 1e-9)
    weights = emphasis(turn, count) / extent
    return np.asarray(weights / weights.sum())


def _best(scores: Floats, numbers: Floats | Integers, width: int) -> tuple[int, ...]:
    """The best points of different score; of equals the newest, which lets the search drift."""
    lowest = _lowest(scores, width)
    # The few that are good enough are looked through for each score, not all.
    good = np.flatnonzero(scores <= lowest[-1]) if lowest else np.zeros(0, dtype=np.int64)
    equals = (good[scores[good] == score] for score in lowest)
    return tuple(int(same[np.argmax(numbers[same])]) for same in equals)


def _lowest(scores: Floats, count: int) -> Sequence[float]:
    """The lowest different finite scores, in order."""
    left = scores[np.isfinite(scores)]
    if count > _FEW:
        return [float(score) for score in np.unique(left)[:count]]
    found: list[float] = []
    while len(left) and len(found) < count:
        found.append(float(left.min()))
        left = left[left > found[-1]]
    return found
