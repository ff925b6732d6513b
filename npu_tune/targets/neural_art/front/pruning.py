"""Prunes labels that cannot become part of a front, given solutions that are already known.

For every limit on memory a label has a lower bound of its time at the end of the network
(:mod:`.relaxed`). It is pruned if, however much memory it needs in the end, a known solution needs
no more of it and is no slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.pareto import Floats
from npu_tune.targets.neural_art.front.relaxed import Relaxed, RelaxedEpochs, Tail

LEAST_GAIN = 1e-11
"""Share of the time by which a solution must be faster to count: more than the rounding errors of
sums of some hundred terms, less than the digits that are printed."""

_MOST_LEVELS = 64
"""Steps of the known front that are used; fewer prune less but cost less."""


@dataclass(frozen=True, slots=True)
class _Level:
    """A limit on memory, with what is known of the solutions below it.

    Args:
        below: the limit, in bytes.
        best: cycles that a new solution below it must undercut.
        tails: lower bounds of the cycles below it.
    """

    below: float
    best: float
    tails: tuple[Tail, ...]


class Pruning:
    """Prunes labels by the solutions known so far.

    Args:
        relaxed: gives the bounds.
        known: (cycles, bytes of memory) of each solution, of shape (solutions, 2).
        memory: computes the bytes of memory so far from labels, of shape (labels, columns).
        tolerance: share of the time by which a solution must be faster to count.
    """

    def __init__(
        self,
        relaxed: Relaxed,
        known: Floats,
        *,
        memory: Callable[[Floats], Floats],
        tolerance: float = 0.0,
    ) -> None:
        self.memory = memory
        self._relaxed = relaxed
        steps = known[np.argsort(known[:, 1])]
        if len(steps) > _MOST_LEVELS:
            steps = steps[np.linspace(0, len(steps) - 1, _MOST_LEVELS).astype(int)]
        below = [*steps[:, 1].tolist(), np.inf]
        best = [np.inf, *steps[:, 0].tolist()]
        self._levels = [
            _Level(
                limit,
                fastest * (1 - max(tolerance, LEAST_GAIN)),
                relaxed.tails(limit),
            )
            for limit, fastest in zip(below, best, strict=True)
        ]
        self._below = np.array([[level.below] for level in self._levels])
        self._best = np.array([[level.best] for level in self._levels])
        self._epochs = [self._epochs_from(position) for position in range(relaxed.positions)]

    def alive(self, position: int, rows: Floats, in_use: Floats) -> NDArray[np.bool_]:
        """Mask of the labels at a position that may become part of the front.

        Args:
            position: of the labels.
            rows: the labels, of shape (labels, columns).
            in_use: bytes in use in their states, of shape (labels,).
        """
        time, slack, memory = rows[:, 0], rows[:, 0] - rows[:, 1], self.memory(rows)
        alive = np.zeros(len(rows), dtype=bool)
        for level in self._levels:
            left = np.flatnonzero(~alive & (memory < level.below))
            if len(left):
                rest = level.tails[position](slack[left], in_use[left])
                alive[left] = time[left] + rest < level.best
        return alive

    def candidates(
        self, position: int, rows: Floats, offered: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Those of the offered candidates that may lead from one of the labels to the front."""
        steps, rests = self._epochs[position]
        begin = np.maximum(rows[:, 0].min(), rows[:, 1].min() + steps.preloading[offered])
        time = begin + steps.cycles[offered]
        memory = np.maximum(self.memory(rows).min(), steps.needs[offered])
        may = (time + rests[:, offered] < self._best) & (memory < self._below)
        worth: NDArray[np.intp] = offered[may.any(axis=0)]
        return worth

    def _epochs_from(self, position: int) -> tuple[RelaxedEpochs, Floats]:
        """The epochs from a position, and per level and epoch a bound of the cycles after it."""
        steps = self._relaxed.epochs[position]
        rests = np.empty((len(self._levels), len(steps.last)))
        for end in set(steps.last.tolist()):
            here = np.flatnonzero(steps.last == end)
            for level, rest in zip(self._levels, rests, strict=True):
                rest[here] = level.tails[end + 1](steps.slack[here], steps.needs[here])
        return steps, rests
