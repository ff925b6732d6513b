"""Who performs runs: this process, worker processes, or Ray; one run per worker at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from npu_tune.compare.runs.answers import SharedAnswers
from npu_tune.compare.runs.recording import Recording
from npu_tune.compare.runs.run import RunOrder, perform
from npu_tune.errors import ExecutorError, NpuTuneError
from npu_tune.network import Network
from npu_tune.targets import Target
from npu_tune.tuning.executors.base import WorkerPool
from npu_tune.tuning.executors.evaluate import quiet


@dataclass(frozen=True)
class Job:
    """A run with all a worker needs for it.

    Args:
        order: what is asked.
        target: evaluates.
        network: is compiled.
        answers: file of the answers shared with other runs.
        keep: whether answers are kept there.
    """

    order: RunOrder
    target: Target
    network: Network
    answers: Path
    keep: bool


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Args:
        order: what was asked.
        recording: the run with its problem; None where it failed.
        error: why it failed.
    """

    order: RunOrder
    recording: Recording | None
    error: NpuTuneError = field(default_factory=lambda: ExecutorError("The run gave no answer."))

    @property
    def failed(self) -> bool:
        """True where there is no recording."""
        return self.recording is None


def attempt(job: Job, *, watch: Callable[[str | None], None] = lambda _: None) -> Finished:
    """Performs a run in this process; whatever goes wrong in it becomes an answer.

    Args:
        job: the run.
        watch: as in :func:`npu_tune.compare.runs.run.perform`.
    """
    try:
        with SharedAnswers(job.answers, keep=job.keep) as answers:
            recording = perform(job.order, job.target, job.network, answers, watch=watch)
    except NpuTuneError as error:
        return Finished(job.order, None, error)
    except Exception as error:  # noqa: BLE001 - a sampler may raise anything
        return Finished(job.order, None, ExecutorError(f"{type(error).__name__}: {error}"))
    return Finished(job.order, recording)


class RunPool(WorkerPool[Finished]):
    """Performs runs, several at a time."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Starts a run; only called while ``free`` is positive.

        Raises:
            ExecutorError: if no worker can be started.
        """


class InlinePool(RunPool):
    """Performs runs in this process, one at a time: no timeout, and a crash ends everything."""

    def __init__(self) -> None:
        self._waiting: Job | None = None

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, job: Job) -> None:
        self._waiting = job

    def wait(self, timeout_s: float) -> Finished | None:  # noqa: ARG002 - nothing to wait for
        job, self._waiting = self._waiting, None
        if job is None:
            return None
        with quiet():
            return attempt(job)

    def close(self) -> None:
        self._waiting = None
