"""A study's trials, indexed by layer so that one layer's changes can be compared."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from npu_tune.samplers.arrays import Floats, GrowingColumn, GrowingTable, Integers
from npu_tune.samplers.layers import Choice, LayeredSpace, Point
from npu_tune.samplers.running import RunningPoints, others_of
from npu_tune.samplers.spread import AlikeGroups

_DUPLICATE = "duplicate_of"
"""The user attribute of a trial that was answered with another's evaluation."""

_GROWN = 10
"""Trials that tell something of a layer are gathered anew where there is one more for so many."""

_ENDLESS = 1e100
"""A value from here on, or infinity or NaN, says as little as a failed trial; squares overflow."""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Groups of points that differ in one layer alone.

    Args:
        members: the points by index, group after group, in each by the trial's number; the groups
            are in the order of their first members.
        choices: of the layer, per group and member.
    """

    members: NDArray[np.int64]
    choices: Sequence[Sequence[Choice]]


NO_COMPARISONS = Comparisons(np.zeros(0, dtype=np.int64), ())


class History:
    """The trials of a study as points of a layered space.

    It depends on the trials alone: it can be rebuilt from them at any time, and in whatever
    order they finished and were read, the same trials give the same answers.

    Args:
        space: the study's space.
        directions: of its objectives.
        is_noisy: whether trials of one point are repeated measurements, of which the mean counts
            and which say nothing about single layers.

    Attributes:
        trials: of the study, as they were read last.
        settled: trials with a number below this have all finished and been read.
        points: of the finished trials, in the order in which they were read.
        numbers: per point the trial's number.
        duplicates: indices of the points that were answered with another trial's evaluation, as
            this package's runner marks them; they have cost no evaluation.
        taken: points of finished and running trials, and those that were refused.
    """

    def __init__(
        self,
        space: LayeredSpace,
        directions: Sequence[StudyDirection],
        *,
        is_noisy: bool = False,
    ) -> None:
        self.space = space
        self._is_noisy = is_noisy
        self._signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self.trials: Sequence[FrozenTrial] = ()
        self.settled = 0
        self.points: list[Point] = []
        self.numbers: list[int] = []
        self._numbers = GrowingColumn()
        self.duplicates: set[int] = set()
        # Of noisy trials: the indices of each point, and the points that have several.
        self._same: dict[Point, list[int]] = {}
        self._repeated: set[Point] = set()
        self._means: tuple[int, Floats, Floats] | None = None
        self._values = GrowingTable(len(directions))
        self._violations = GrowingTable(1)
        self._finished: set[Point] = set()
        self.taken: set[Point] = set()
        # Per layer: finished trials that are alike in all other layers, by a hash of those. Most
        # are alone, and a list for each of these would take more room than all else.
        self._alike: list[dict[int, int | list[int]]] = [{} for _ in space.layers]
        # Those groups, each in the order of the trials' numbers.
        self._compared: list[dict[int, list[int]]] = [{} for _ in space.layers]
        self._comparisons: list[tuple[int, Comparisons]] = [(0, NO_COMPARISONS)] * len(
            space.layers
        )
        self._groups = AlikeGroups(len(space.layers))
        self._tried = [0] * len(space.layers)
        self._running = RunningPoints(self._alike)

    def read(
        self, trials: list[FrozenTrial], changed: Iterable[FrozenTrial], *, settled: int
    ) -> None:
        """Takes in what is new.

        Args:
            trials: of the study.
            changed: those that are new, or running ones that have changed.
            settled: trials with a number below this have all finished.
        """
        self.trials, self.settled = trials, settled
        for trial in changed:
            self._leave(trial.number)
            if trial.state.is_finished():
                self._add(trial)
            elif trial.state == TrialState.RUNNING and trial.params:
                self._enter(trial)

    def refuse(self, point: Point) -> None:
        """Takes a point for one that is known already, though no trial has it."""
        self.taken.add(point)
        self._running.refuse(point)

    @property
    def running(self) -> int:
        """Number of trials that are under way and tell something of their own when they end."""
        return len(self._running)

    @property
    def number_column(self) -> Integers:
        """:attr:`numbers` as an array, for comparing them."""
        return self._numbers.array

    @property
    def values(self) -> Floats:
        """Per point the objectives' values, all to be minimised; NaN where the trial failed."""
        return self._values.array

    @property
    def violations(self) -> Floats:
        """Per point by how much constraints are violated; 0 where feasible."""
        return self._violations.array[:, 0]

    @property
    def mean_values(self) -> Floats:
        """``values``, of noisy trials the mean over the completed ones of the same point."""
        return self._average()[0] if self._is_noisy else self.values

    @property
    def mean_violations(self) -> Floats:
        """``violations``, of noisy trials the mean over the completed ones of the same point."""
        return self._average()[1] if self._is_noisy else self.violations

    def measurements(self, index: int, *, until: int | None = None) -> list[int]:
        """Indices of the completed trials of a point, those of noisy trials all.

        Trials that were answered with another's evaluation are no measurements of their own.

        Args:
            index: of one of the point's trials.
            until: the largest trial number that counts; None for all.
        """
        if not self._is_noisy:
            return [index]
        found = [
            other
            for other in self._same.get(self.points[index], ())
            if other not in self.duplicates
            and (until is None or self.numbers[other] <= until)
            and not np.isnan(self.values[other]).any()
        ]
        return found or [index]

    def mean_of(self, indices: Sequence[int]) -> tuple[Floats, float]:
        """Values and violation averaged over trials, in whatever order they were read."""
        if len(indices) == 1:
            return self.values[indices[0]], float(self.violations[indices[0]])
        count = len(indices)
        columns = self.values[list(indices)].T
        mean = np.array([math.fsum(column) / count for column in columns])
        return mean, math.fsum(self.violations[list(indices)]) / count

    def tried(self, layer: int) -> int:
        """Number of trials, finished or running, that differ from another in this layer alone."""
        return self._tried[layer] + self._running.alike[layer]

    def comparisons(self, layer: int, *, patience: int = 1) -> Comparisons:
        """The finished trials that say what this layer's choices do, the rest being equal.

        Args:
            layer: the layer in question.
            patience: so many more have to have finished before they are gathered anew; fewer, as
                long as little is known of the layer.
        """
        counted, known = self._comparisons[layer]
        if self._tried[layer] - counted >= min(patience, counted // _GROWN + 1):
            known = self._compare(layer)
            self._comparisons[layer] = self._tried[layer], known
        return known

    def _compare(self, layer: int) -> Comparisons:
        numbers = self.numbers
        groups = sorted(self._compared[layer].values(), key=lambda group: numbers[group[0]])
        members = np.array([index for group in groups for index in group], dtype=np.int64)
        choices = [[self.points[index][layer] for index in group] for group in groups]
        return Comparisons(members, choices)

    def spreads(self, scores: Floats) -> Floats:
        """Per layer the standard deviation of the score over its choices, all else equal."""
        return self._groups.spreads(scores)

    def _add(self, trial: FrozenTrial) -> None:
        point = self.space.encode(trial.params)
        if point is None:
            return
        index = len(self.points)
        self.points.append(point)
        self.numbers.append(trial.number)
        self._numbers.append(trial.number)
        if _DUPLICATE in trial.user_attrs:
            self.duplicates.add(index)
        is_repeat = self._is_noisy and point in self._finished
        if self._is_noisy and not is_repeat:
            self._running.remove_all(point)
        self._finished.add(point)
        self.taken.add(point)
        values = trial.values if trial.state == TrialState.COMPLETE else None
        if values is not None and all(abs(value) < _ENDLESS for value in values):
            self._values.append([s * v for s, v in zip(self._signs, values, strict=True)])
        else:
            self._values.append([math.nan] * len(self._signs))
        self._violations.append([sum(max(0.0, c) for c in trial.constraints.values())])
        if self._is_noisy:
            self._same.setdefault(point, []).append(index)
        if is_repeat:
            self._repeated.add(point)
            return
        for layer, others in enumerate(others_of(point)):
            group = self._alike[layer].setdefault(others, index)
            if group == index:
                self._running.count_finished(layer, others)
                continue
            if isinstance(group, int):
                self._groups.add(layer, others, [group])
                group = self._alike[layer][others] = self._compared[layer][others] = [group]
            insort(group, index, key=self.numbers.__getitem__)
            self._tried[layer] += 1
            self._groups.add(layer, others, [index])

    def _average(self) -> tuple[Floats, Floats]:
        if self._means is None or self._means[0] != len(self.points):
            values, violations = self.values.copy(), self.violations.copy()
            for point in self._repeated:
                same = self._same[point]
                values[same], violations[same] = self.mean_of(self.measurements(same[0]))
            self._means = len(self.points), values, violations
        return self._means[1:]

    def _enter(self, trial: FrozenTrial) -> None:
        """Takes in a running trial."""
        point = self.space.encode(trial.params)
        if point is None:
            return
        self.taken.add(point)
        # A repeated measurement says nothing about single layers.
        if not (self._is_noisy and point in self._finished):
            self._running.add(trial.number, point)

    def _leave(self, number: int) -> None:
        """Forgets that a trial runs."""
        point = self._running.remove(number)
        if point is not None and point not in self._running and point not in self._finished:
            self.taken.discard(point)
