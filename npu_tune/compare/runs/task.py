"""A run as a task for workers, on this machine or another one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from npu_tune.compare.runs.recording import Recording
from npu_tune.compare.runs.run import RunOrder, perform_run
from npu_tune.errors import (
    EvaluationError,
    ExecutorError,
    NpuTuneError,
    WorkerLostError,
    sentence_of,
)
from npu_tune.evaluation.pool import Task, Watch
from npu_tune.evaluation.store import Store
from npu_tune.processes import shared_temporary_folder
from npu_tune.targets import Problem


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Args:
        order: what was asked.
        recording: the run with its problem; None where it failed.
        error: why it failed.
        lost: True where its worker was at fault.
    """

    order: RunOrder
    recording: Recording | None
    error: NpuTuneError = field(default_factory=lambda: ExecutorError("The run gave no answer."))
    lost: bool = False

    @property
    def failed(self) -> bool:
        """True where there is no recording."""
        return self.recording is None


@dataclass(frozen=True)
class RunTask(Task[RunEnd]):
    """Performs one run in a worker; whatever goes wrong in it becomes its end.

    Args:
        order: what is asked.
        store: file of the evaluations shared with other runs; None to share none.
        home: name of the machine that the file is on.
        verdicts: by key, what evaluations of this run failed with that cannot be tried again: a
            crash of every worker that tried, or a time-out. They count in this run alone.
    """

    order: RunOrder
    store: Path | None
    home: str = field(default_factory=socket.gethostname)
    verdicts: Mapping[str, EvaluationError] = field(default_factory=dict)

    def run(self, problem: Problem, watch: Watch) -> RunEnd:
        try:
            with contextlib.ExitStack() as stack:
                path = self._store_here()
                store = None if path is None else stack.enter_context(Store(path))
                recording = perform_run(
                    self.order, problem, store, verdicts=self.verdicts, watch=watch
                )
        except NpuTuneError as error:
            return RunEnd(self.order, None, error)
        except Exception as error:  # noqa: BLE001 - a sampler may raise anything
            return RunEnd(self.order, None, ExecutorError(sentence_of(error)))
        return RunEnd(self.order, recording)

    def blame(self, key: str, error: EvaluationError, seconds: float) -> RunTask:  # noqa: ARG002
        return replace(self, verdicts={**self.verdicts, key: error})

    def give_up(self, error: WorkerLostError) -> RunEnd:
        return RunEnd(
            self.order,
            None,
            ExecutorError(
                f"The workers of {self.order.name} were lost again and again: {error.message}",
                remedy="Use fewer workers if memory is short; the inline executor shows more.",
            ),
            lost=True,
        )

    def refuse(self, error: NpuTuneError) -> RunEnd:
        return RunEnd(self.order, None, error)

    def is_lost(self, answer: RunEnd) -> bool:
        return answer.lost

    def _store_here(self) -> Path | None:
        if self.store is None or socket.gethostname() == self.home:
            return self.store
        # SQLite's shared files must be local: each machine keeps evaluations of its own.
        return shared_temporary_folder() / "npu-tune-cache" / self.store.name
