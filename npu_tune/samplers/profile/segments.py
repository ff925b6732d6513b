"""Runs of layers that were executed together, with the choices they had and what they cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats, GrowingTable
from npu_tune.samplers.layers import Choice, LayeredSpace
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles, Run


@dataclass(frozen=True)
class Segment:
    """A run of layers and their choices.

    Args:
        run: places of its first and its last layer.
        choices: one per layer.
    """

    run: Run
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Grouped:
    """Segments by their runs.

    Args:
        runs: all that were seen.
        order: the numbers of the segments, those of the first run first.
        starts: where in the order each run begins.
    """

    runs: tuple[Run, ...]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @cached_property
    def by_last(self) -> Mapping[int, Sequence[tuple[int, int]]]:
        """By the last layer of a run, its first one and the run's number."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, (first, last) in enumerate(self.runs):
            found[last].append((first, number))
        return found


class Segments:
    """All segments of the trials whose profile is known.

    What a segment cost is averaged over the trials that had it: what lies beside it has some
    influence.

    Args:
        space: of the study.
        least_observations: of a value, before it may count as what joins layers.

    Attributes:
        seen: the segments, in the order in which they were first seen.
    """

    def __init__(self, space: LayeredSpace, least_observations: int = 3) -> None:
        self._least_observations = least_observations
        self._space = space
        self._read = 0
        self.seen: list[Segment] = []
        self._numbers: dict[Segment, int] = {}
        self._counts: list[int] = []
        self._sums = self._peaks = GrowingTable(0)
        self._runs: dict[Run, int] = {}
        self._run_numbers: list[int] = []
        self._grouped: Grouped | None = None
        # By a parameter's short name and value: how often a layer ran together with the next
        # one, and how often it was seen at all.
        self._joined: dict[str, dict[Any, list[int]]] = defaultdict(dict)
        # Per place the choices that it had in the longest of its runs with others.
        self._longest: dict[int, tuple[int, list[Choice]]] = {}

    def read(self, profiles: Profiles) -> None:
        """Adds the trials that are new."""
        for number in range(self._read, len(profiles)):
            for run in profiles.runs[number]:
                self._add(profiles, number, run)
        self._read = len(profiles)

    @property
    def sums(self) -> Floats:
        """Per segment and column, the sum over its layers."""
        return self._sums.array

    @property
    def peaks(self) -> Floats:
        """Per segment and column, the maximum over its layers."""
        return self._peaks.array

    def group_by_run(self) -> Grouped:
        """The segments by the run of layers that they are of."""
        if self._grouped is None or len(self._grouped.order) < len(self.seen):
            numbers = np.array(self._run_numbers, dtype=np.int64)
            order = np.argsort(numbers, kind="stable")
            starts = np.searchsorted(numbers[order], np.arange(len(self._runs)))
            self._grouped = Grouped(tuple(self._runs), order, starts)
        return self._grouped

    def joining(self) -> tuple[str, Any] | None:
        """Finds an unordered parameter without whose value layers never ran together with the next.

        Returns:
            The parameter's short name and the value; None where observations do not tell.
        """
        found: tuple[float, str, Any] | None = None
        for name, values in self._joined.items():
            rates = {
                v: joined / n for v, (joined, n) in values.items() if n >= self._least_observations
            }
            if len(rates) < 2 or min(rates.values()) > 0:
                continue
            value = max(rates, key=rates.__getitem__)
            if rates[value] > (found[0] if found else 0.0):
                found = rates[value], name, value
        return None if found is None else found[1:]

    def sociable(self, place: int) -> list[Choice]:
        """The choices with which a layer was in the longest run with others."""
        return self._longest.get(place, (0, []))[1]

    def _add(self, profiles: Profiles, number: int, run: Run) -> None:
        first, last = run
        choices = tuple(profiles.choice(place, number) for place in range(first, last + 1))
        sums, peaks = (profiles.over(run, kind, number) for kind in (SUM, MAX))
        if not self.seen:
            self._sums, self._peaks = GrowingTable(len(sums)), GrowingTable(len(peaks))
        segment = Segment(run, choices)
        known = self._numbers.get(segment)
        if known is None:
            self._numbers[segment] = len(self.seen)
            self._run_numbers.append(self._runs.setdefault(run, len(self._runs)))
            self.seen.append(segment)
            self._counts.append(1)
            self._sums.append(sums)
            self._peaks.append(peaks)
        else:
            self._counts[known] += 1
            for table, new in ((self._sums.array, sums), (self._peaks.array, peaks)):
                table[known] += (new - table[known]) / self._counts[known]
        for place, choice in zip(range(first, last + 1), choices, strict=True):
            self._observe(profiles.layers[place], choice, is_joined=place < last)
            if first < last:
                self._remember(place, choice, last - first + 1)

    def _observe(self, layer: int, choice: Choice, *, is_joined: bool) -> None:
        for parameter, index in zip(self._space.layers[layer], choice, strict=True):
            # What joins is a switch, and no quantity.
            if parameter.size > 1 and not parameter.ordered:
                values = self._joined[parameter.short_name]
                count = values.setdefault(parameter.value_of(index), [0, 0])
                count[0] += is_joined
                count[1] += 1

    def _remember(self, place: int, choice: Choice, length: int) -> None:
        longest, choices = self._longest.get(place, (0, []))
        if length > longest:
            self._longest[place] = length, [choice]
        elif length == longest and choice not in choices:
            choices.append(choice)
