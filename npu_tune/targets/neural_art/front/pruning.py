"""Leaves out what cannot become part of a front, given what is known of it already.

A label has a lower bound of the time it ends at for every limit on memory (:mod:`.relaxed`). It is
left out if, whatever memory it ends with, a solution that is known already takes no more of it and
is no slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.targets.neural_art.front.relaxed import Relaxed, Steps, Tail

Floats = NDArray[np.float64]

LEAST_GAIN = 1e-11
"""Share of its time that a solution must gain to count as faster: more than what rounding in the
order of a sum makes of some hundred summands, less than any figure is printed with."""

_MOST_LEVELS = 24


@dataclass(frozen=True, slots=True)
class _Level:
    """What is known of solutions that need less than some memory.

    Args:
        below: bytes.
        best: cycles of the fastest one.
        tails: least cycles of those that need less.
    """

    below: float
    best: float
    tails: tuple[Tail, ...]


class Pruning:
    """A front as far as it is known, against which labels are held.

    Args:
        relaxed: gives the bounds.
        known: one row per solution: cycles, bytes of memory.
        memory: of labels, one row each as :class:`~.columns.LabelColumns` says, the bytes of memory
            so far.
        in_use: True where that memory is the live bytes, False where it is RAM on the chip.
        tolerance: share of its time that a solution must gain to count as faster.
    """

    def __init__(
        self,
        relaxed: Relaxed,
        known: Floats,
        *,
        memory: Callable[[Floats], Floats],
        in_use: bool,
        tolerance: float = 0.0,
    ) -> None:
        self.memory = memory
        self._relaxed = relaxed
        self._on_chip = not in_use
        steps = known[np.argsort(known[:, 1])]
        if len(steps) > _MOST_LEVELS:  # fewer steps leave out less, and cost less
            steps = steps[np.linspace(0, len(steps) - 1, _MOST_LEVELS).astype(int)]
        below = [*steps[:, 1].tolist(), np.inf]
        best = [np.inf, *steps[:, 0].tolist()]
        self._levels = [
            _Level(
                limit,
                fastest * (1 - max(tolerance, LEAST_GAIN)),
                relaxed.tails(limit, on_chip=self._on_chip),
            )
            for limit, fastest in zip(below, best, strict=True)
        ]
        self._below = np.array([[level.below] for level in self._levels])
        self._best = np.array([[level.best] for level in self._levels])
        self._ways = [self._ways_from(position) for position in range(relaxed.positions)]

    def alive(self, position: int, rows: Floats, in_use: float) -> NDArray[np.bool_]:
        """Which labels at a position may become part of the front.

        Args:
            position: of the labels.
            rows: the labels.
            in_use: bytes of the memory that is limited that are in use in their state.
        """
        time, slack, memory = rows[:, 0], rows[:, 0] - rows[:, 1], self.memory(rows)
        blocks = np.full(len(rows), in_use)
        alive = np.zeros(len(rows), dtype=bool)
        for level in self._levels:
            left = np.flatnonzero(~alive & (memory < level.below))
            if len(left):
                rest = level.tails[position](slack[left], blocks[left])
                alive[left] = time[left] + rest < level.best
        return alive

    def candidates(
        self, position: int, rows: Floats, offered: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Which of some epochs may lead from some of these labels to the front."""
        steps, rests = self._ways[position]
        begin = np.maximum(rows[:, 0].min(), rows[:, 1].min() + steps.preloading[offered])
        time = begin + steps.cycles[offered]
        memory = np.maximum(self.memory(rows).min(), steps.needs[offered])
        may = (time + rests[:, offered] < self._best) & (memory < self._below)
        worth: NDArray[np.intp] = offered[may.any(axis=0)]
        return worth

    def _ways_from(self, position: int) -> tuple[Steps, Floats]:
        """The epochs from a position, and per level and epoch the least cycles behind it."""
        steps = self._relaxed.steps(position, on_chip=self._on_chip)
        rests = np.empty((len(self._levels), len(steps.last)))
        for end in set(steps.last.tolist()):
            here = np.flatnonzero(steps.last == end)
            for level, rest in zip(self._levels, rests, strict=True):
                rest[here] = level.tails[end + 1](
                    steps.slack[here], steps.live[here], steps.spilled[here]
                )
        return steps, rests
