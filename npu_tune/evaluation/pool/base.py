"""Pools of workers: what they are given to do, and how they hand it back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from npu_tune.closing import Closing
from npu_tune.errors import EvaluationError, NpuTuneError, WorkerLostError
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.targets import Problem

Answer = TypeVar("Answer")

Watch = Callable[[str | None], None]
"""Is told the key of every evaluation before it begins, and None after it."""


class Task(ABC, Generic[Answer]):
    """Something that a worker does with a problem; a picklable value.

    A worker that dies or hangs takes nothing else down: the pool tries the task again on another
    worker, a bounded number of times, and then asks the task what becomes of it.
    """

    @abstractmethod
    def run(self, problem: Problem, watch: Watch) -> Answer:
        """Does it, in a worker; raises nothing that a configuration may cause."""

    @abstractmethod
    def blame(self, key: str, error: EvaluationError, seconds: float) -> Answer | Task[Answer]:
        """What follows when an evaluation in it has failed its worker for good.

        Args:
            key: of the evaluation.
            error: what it did: crashed its worker every time, or took too long.
            seconds: what it took.

        Returns:
            The answer, or a task that goes on without that evaluation.
        """

    @abstractmethod
    def give_up(self, error: WorkerLostError) -> Answer:
        """The answer where workers were lost again and again, through no fault of the task."""

    @abstractmethod
    def refuse(self, error: NpuTuneError) -> Answer:
        """The answer where the target of a worker refuses the problem.

        Raises:
            NpuTuneError: the same, where nothing can go on without it.
        """

    def longest_s(self, timeout_s: float) -> float:  # noqa: ARG002 - for subclasses
        """What a worker may take for it without a crash; infinity where nobody can say.

        Args:
            timeout_s: the time one evaluation may take.
        """
        return math.inf

    def is_lost(self, answer: Answer) -> bool:  # noqa: ARG002 - for subclasses
        """True for an answer that says the worker, not the task, was at fault: it is tried again."""
        return False


@dataclass(frozen=True)
class Submission(Generic[Answer]):
    """A task that was submitted.

    Args:
        ticket: names it.
        task: what to do.
        binding: the problem to do it with.
    """

    ticket: int
    task: Task[Answer]
    binding: Binding


@dataclass(frozen=True, slots=True)
class Finished(Generic[Answer]):
    """The answer to a task.

    Args:
        ticket: the number that it was submitted under.
        answer: what came of it.
    """

    ticket: int
    answer: Answer


class Pool(Closing, Generic[Answer]):
    """Workers that do several tasks at a time and hand each back as soon as it is done.

    Attributes:
        task_s: about what it takes to hand a task to a worker and its answer back, in seconds.
    """

    task_s = 0.0

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many tasks run at a time when all workers are well."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more tasks may be submitted now."""

    @abstractmethod
    def submit(self, ticket: int, task: Task[Answer], binding: Binding) -> None:
        """Starts a task; only called while ``free`` is positive.

        Args:
            ticket: names it.
            task: what to do.
            binding: the problem to do it with.

        Raises:
            ExecutorError: if no worker can be started.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> Finished[Answer] | None:
        """The next answer, or None if none comes in time.

        Raises:
            ExecutorError: if workers cannot go on.
            NpuTuneError: what the target of a worker refused the problem with, unless the task
                makes an answer of it.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends every worker and whatever it started; what they are at is dropped."""
