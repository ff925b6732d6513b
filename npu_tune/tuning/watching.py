"""Looks at a study that another process runs, and says how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.closing import Closing
from npu_tune.tuning.attributes import ELAPSED, own_trials
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.pace import Pace
from npu_tune.tuning.phase import Phase, phase_of
from npu_tune.tuning.progress import Progress
from npu_tune.tuning.reading import result_of
from npu_tune.tuning.records import StudyResult

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class State(StrEnum):
    """Whether somebody works on a study."""

    RUNNING = "running"
    ENDED = "ended"
    KILLED = "killed"


@dataclass(frozen=True)
class StudyStatus:
    """How a study stands.

    Args:
        state: ``ended`` where its last run says why it ended; ``killed`` where it does not and
            nobody holds the storage open for writing: the process was killed, or failed.
        progress: as its own process reports it, as far as trials tell.
        result: what was found so far.
    """

    state: State
    progress: Progress
    result: StudyResult


class StudyWatch(Closing):
    """Looks at the study in a folder again and again; changes nothing.

    Args:
        folder: of the study.
        clock: seconds from any fixed point.

    Raises:
        UsageError: if there is no study in the folder.
        StorageError: if its ledger cannot be read.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        study = read_study_folder(folder)
        self._ledger = open_ledger(
            study.storage, name=study.name, create=False, read_only=True, lean=True
        )
        self._result: StudyResult | None = None
        self._seen: tuple[int, dict[str, Any]] = (0, {})
        self._new_at = clock()

    def look(self) -> StudyStatus:
        """How the study stands now.

        Raises:
            StorageError: if its ledger cannot be read.
        """
        # In this order: who ends between the two has said so.
        drivers = self._ledger.drivers()
        trials, attributes = self._ledger.trials(), self._ledger.attributes()
        seen = (len(trials), attributes)
        if self._result is None or seen != self._seen:
            self._result, self._seen = result_of(self._ledger), seen
            self._new_at = self._clock()
        result = self._result
        if result.stopped is not None:
            state = State.ENDED
        else:
            state = State.RUNNING if drivers else State.KILLED
        waited_s = self._clock() - self._new_at if state is State.RUNNING else 0.0
        progress = progress_of(
            result,
            own_trials(trials),
            wall_time_s=read_study_folder(self._folder).study.wall_time,
            waited_s=waited_s,
            is_running=state is State.RUNNING,
        )
        return StudyStatus(state, replace(progress, drivers=drivers), result)

    def close(self) -> None:
        self._ledger.close()


def progress_of(
    result: StudyResult,
    trials: Sequence[FrozenTrial],
    *,
    wall_time_s: float | None,
    waited_s: float,
    is_running: bool,
) -> Progress:
    """What a study's own process reports, worked out from its trials.

    Args:
        result: of the study.
        trials: of its ledger, in order.
        wall_time_s: the budget, or None.
        waited_s: seconds since the last trial finished, as far as is known.
        is_running: whether there is a time left.
    """
    planned = result.evaluations_planned
    pace, phase = Pace(), Phase.BASELINE
    for record in result.trials:
        phase = phase_of(record.origin, phase)
    for trial in trials:
        if "duplicate_of" not in trial.user_attrs:
            pace.count(trial.user_attrs.get(ELAPSED, 0.0))
    evaluated = [record for record in result.trials if record.duplicate_of is None]
    failed = sum(record.failure is not None for record in evaluated)
    elapsed_s = max((t.user_attrs.get(ELAPSED, 0.0) for t in trials), default=0.0)
    now_s = elapsed_s + waited_s
    left: list[float | None] = []
    if is_running and planned is not None:
        left.append(pace.seconds_for(max(planned - len(evaluated), 0), now_s))
        if len(evaluated) >= planned:
            phase, left = Phase.ENDING, []
    if is_running and wall_time_s is not None and not phase.is_after:
        left.append(max(wall_time_s - now_s, 0.0))
    best = result.best
    return Progress(
        evaluations=len(evaluated),
        planned=planned,
        finished=len(evaluated) - failed,
        failed=failed,
        duplicates=len(result.trials) - len(evaluated),
        running=0,
        best_cost=None if best is None else best.cost,
        best_metrics={} if best is None else best.metrics,
        front_size=len(result.front),
        trials_per_second=len(result.trials) / now_s if now_s else 0.0,
        elapsed_s=now_s,
        time_left_s=min((each for each in left if each is not None), default=None),
        phase=phase,
        cached=sum(record.cached for record in evaluated),
    )
