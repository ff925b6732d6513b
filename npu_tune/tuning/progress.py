"""How far a study has come, for whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from npu_tune.pareto import extend_front
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.pace import Pace
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.records import losses
from npu_tune.tuning.trial import TrialRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a running study.

    Args:
        evaluations: configurations evaluated so far, in all runs of the study; 0 in the phases
            before that is known.
        planned: the budget of evaluations; None where only the wall time ends the study.
        finished: trials that were evaluated with success.
        failed: trials that failed; repeated failures are duplicates.
        duplicates: trials finished without an evaluation.
        running: evaluations under way.
        best_cost: of the best feasible trial.
        best_metrics: of the best feasible trial.
        front_size: trials on the Pareto front.
        trials_per_second: in this run, duplicates included.
        elapsed_s: in all runs of the study.
        time_left_s: until the budget is used up, as far as can be told; None in the phases before
            and after that.
        stopping: True once the study was asked to stop and waits for what is running.
        phase: what the study is at.
        cached: evaluations that the cache had.
        drivers: processes that run the study together, as far as they have found one another.
    """

    evaluations: int
    planned: int | None
    finished: int
    failed: int
    duplicates: int
    running: int
    best_cost: float | None
    best_metrics: Mapping[str, float] = field(default_factory=dict)
    front_size: int = 0
    trials_per_second: float = 0.0
    elapsed_s: float = 0.0
    time_left_s: float | None = None
    stopping: bool = False
    phase: Phase = Phase.SEARCH
    cached: int = 0
    drivers: int = 1


class Listener(Protocol):
    """Is told how a study proceeds, in the runner's own thread: it should be quick."""

    def __call__(self, progress: Progress) -> None:
        """Called when a phase begins, after each trial, and twice a second while none finishes."""


def tell_phase(listener: Listener | None, phase: Phase, *, planned: int | None = None) -> None:
    """Tells of a phase before the first trial, of which nothing else is known."""
    if listener is not None:
        listener(Progress(0, planned, 0, 0, 0, 0, None, phase=phase))


class ProgressMeter:
    """Keeps count of a study's trials.

    Args:
        objective: for the best trial and the front.
        evaluations: the budget, or None.
        wall_time_s: the budget, or None.
        elapsed_s: of earlier runs of the study.
        clock: seconds from any fixed point.

    Attributes:
        drivers: processes that run the study together.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        evaluations: int | None,
        wall_time_s: float | None,
        elapsed_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objective = objective
        self._planned = evaluations
        self._wall_time_s = wall_time_s
        self._earlier_s = elapsed_s
        self._clock = clock
        self._started = clock()
        self._counts = {"finished": 0, "failed": 0, "duplicates": 0}
        self._best: TrialRecord | None = None
        self._front = np.empty((0, len(objective.weights)))
        self._trials_before = 0
        self._cached = 0
        self._pace = Pace()
        self.drivers = 1

    @property
    def evaluations(self) -> int:
        """Configurations evaluated so far."""
        return self._counts["finished"] + self._counts["failed"]

    @property
    def best_cost(self) -> float | None:
        """Of the best feasible trial so far."""
        return self._best.cost if self._best else None

    @property
    def elapsed_s(self) -> float:
        """How long the study has run, earlier runs included."""
        return self._earlier_s + self._clock() - self._started

    @property
    def time_used(self) -> float:
        """Share of the wall time that is used up; 0 where there is none."""
        return 0.0 if self._wall_time_s is None else self.elapsed_s / self._wall_time_s

    @property
    def out_of_time(self) -> bool:
        """True where the wall time is used up."""
        return self.time_used >= 1

    def count(self, record: TrialRecord, *, earlier: bool = False) -> None:
        """Takes a trial into account; ``earlier`` ones do not enter this run's speed."""
        self._trials_before += earlier
        if record.duplicate_of is not None:
            self._counts["duplicates"] += 1
            return
        if not earlier:
            self._pace.count(self._clock())
        self._counts["finished" if record.failure is None else "failed"] += 1
        self._cached += record.cached
        if not record.feasible or record.cost is None:
            return
        if self._best is None or record.cost < (self._best.cost or 0.0):
            self._best = record
        objective = self._objective
        point = losses(record.metrics, objective.weights, objective.directions)
        self._front = extend_front(self._front, np.array(point, dtype=float))

    def catch_up(self, elapsed_s: float) -> None:
        """Takes notice of how long another driver knows the study to have run."""
        self._earlier_s += max(elapsed_s - self.elapsed_s, 0.0)

    def progress(self, *, running: int, stopping: bool, phase: Phase = Phase.SEARCH) -> Progress:
        """How far the study has come."""
        here_s = max(self._clock() - self._started, 1e-9)
        return Progress(
            evaluations=self.evaluations,
            planned=self._planned,
            **self._counts,
            running=running,
            best_cost=self.best_cost,
            best_metrics=self._best.metrics if self._best else {},
            front_size=len(self._front),
            trials_per_second=(sum(self._counts.values()) - self._trials_before) / here_s,
            elapsed_s=self.elapsed_s,
            time_left_s=None if phase.is_after else self._time_left_s(),
            stopping=stopping,
            phase=phase,
            cached=self._cached,
            drivers=self.drivers,
        )

    def _time_left_s(self) -> float | None:
        left = []
        if self._planned is not None:
            rest = max(self._planned - self.evaluations, 0)
            left.append(self._pace.seconds_for(rest, self._clock()))
        if self._wall_time_s is not None:
            left.append(max(self._wall_time_s - self.elapsed_s, 0.0))
        return min((each for each in left if each is not None), default=None)
