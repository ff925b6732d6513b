"""What every executor offers: take a configuration, hand back its outcome."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from npu_tune.closing import Closing
from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one evaluation ended.

    Args:
        ticket: the number it was submitted under.
        evaluation: what the target answered; None where it failed.
        error: why it failed; None where it did not.
        seconds: what it took.
    """

    ticket: int
    evaluation: Evaluation | None
    error: EvaluationError | None
    seconds: float


Answer = TypeVar("Answer")


class WorkerPool(Closing, Generic[Answer]):
    """Workers that hand back what they were given to do, several things at a time."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more things may be submitted now."""

    @abstractmethod
    def wait(self, timeout_s: float) -> Answer | None:
        """The next answer, or None if none comes in time.

        Raises:
            ExecutorError: if workers cannot go on.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends every worker and whatever it started; what they are at is dropped."""


class Executor(WorkerPool[Outcome]):
    """Evaluates configurations of one network on one target, several at a time.

    An executor never raises what a configuration caused: that is an outcome. It raises
    ExecutorError where it cannot work at all.
    """

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many evaluations run at a time when all workers are well."""

    @abstractmethod
    def submit(self, ticket: int, configuration: Configuration) -> None:
        """Starts an evaluation; only called while ``free`` is positive.

        Raises:
            ExecutorError: if no worker can be started.
        """
