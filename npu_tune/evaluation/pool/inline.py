"""Does tasks in this process, one at a time."""

from __future__ import annotations

from npu_tune.errors import NpuTuneError
from npu_tune.evaluation.evaluate import quiet
from npu_tune.evaluation.pool.base import Answer, Finished, Pool, Submission, Task
from npu_tune.evaluation.pool.binding import Binding, BoundProblem
from npu_tune.targets import Problem


class InlinePool(Pool[Answer]):
    """The simplest pool, for debugging: no timeout, and a crash takes everything down.

    Args:
        problem: one that is open already and stays open; others are bound when they are needed.
    """

    def __init__(self, problem: Problem | None = None) -> None:
        self._bound = BoundProblem(problem)
        self._waiting: Submission[Answer] | None = None

    @property
    def capacity(self) -> int:
        return 1

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, ticket: int, task: Task[Answer], binding: Binding) -> None:
        self._waiting = Submission(ticket, task, binding)

    def wait(self, timeout_s: float) -> Finished[Answer] | None:  # noqa: ARG002 - nobody to wait for
        if self._waiting is None:
            return None
        job = self._waiting
        with quiet():
            try:
                problem = self._bound.get(job.binding)
            except NpuTuneError as error:
                answer = job.task.refuse(error)
            else:
                answer = job.task.run(problem, _watch_nothing)
        self._waiting = None
        return Finished(job.ticket, answer)

    def close(self) -> None:
        self._waiting = None
        self._bound.close()


def _watch_nothing(key: str | None) -> None:
    """Nobody could end an evaluation of this process."""
