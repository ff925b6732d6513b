"""The steps that epochs make from a state of the memory, as arrays for the search of :mod:`.labels`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npu_tune.pareto import Floats, nondominated

Indices = NDArray[np.intp]


class EpochStep(NamedTuple):
    """What an epoch does to a label.

    Args:
        last: position of its last operation.
        state: number of the memory's state that it leaves.
        in_use: bytes in use in that state.
        values: what it adds to each column (:meth:`~.columns.LabelColumns.step_values`).
    """

    last: int
    state: int
    in_use: int
    values: tuple[float, ...]


class StepsToEnd(NamedTuple):
    """Steps that end with the same operation, ``n`` in all.

    Args:
        last: position of the operation.
        candidates: that make them, of shape (n,).
        states: that they leave, of shape (n,).
        in_use: bytes in use in these, of shape (n,).
        values: what they add to a label, of shape (n, columns + 1).
    """

    last: int
    candidates: Indices
    states: Indices
    in_use: Floats
    values: Floats


class Steps:
    """The steps of candidates that start at one position, from states that serve them alike.

    Args:
        candidates: their numbers, ascending.
        width: numbers that a step has.
    """

    def __init__(self, candidates: Indices, width: int) -> None:
        self._candidates = candidates
        count = len(candidates)
        self._tried = np.zeros(count, dtype=bool)
        self._best = np.zeros(count, dtype=bool)
        self._ends = np.full((count, 2), -1, dtype=np.intp)
        self._in_use = np.zeros(count)
        self._values = np.zeros((count, width))
        self._same_end: dict[tuple[int, int], list[int]] = defaultdict(list)

    def untried(self, candidates: Indices) -> Indices:
        """Those of some candidates whose steps were not added yet."""
        found: Indices = candidates[~self._tried[self._places(candidates)]]
        return found

    def add(self, candidates: Indices, steps: Sequence[EpochStep | None]) -> None:
        """Adds the steps of candidates; None where memory has no room."""
        for place, step in zip(self._places(candidates).tolist(), steps, strict=True):
            self._tried[place] = True
            if step is not None:
                self._ends[place] = step.last, step.state
                self._in_use[place] = step.in_use
                self._values[place] = step.values
                self._same_end[step.last, step.state].append(place)
        self._best[:] = False
        for places in self._same_end.values():
            here = np.array(sorted(places))
            self._best[here[nondominated(self._values[here])]] = True

    def by_end(self, candidates: Indices) -> Iterator[StepsToEnd]:
        """Those steps of some candidates that no step to the same state dominates.

        A step of another candidate may be the one that does: where that one cannot lead to the
        front, what is no better cannot either.
        """
        places = self._places(candidates)
        places = places[self._best[places]]
        lasts = self._ends[places, 0]
        for last in set(lasts.tolist()):
            here = places[lasts == last]
            yield StepsToEnd(
                last,
                self._candidates[here],
                self._ends[here, 1],
                self._in_use[here],
                self._values[here],
            )

    def _places(self, candidates: Indices) -> Indices:
        return np.searchsorted(self._candidates, candidates)
