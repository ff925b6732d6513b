"""What every executor offers: take a configuration, hand back its outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

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


class Executor(ABC):
    """Evaluates configurations of one network on one target, several at a time.

    An executor never raises what a configuration caused: that is an outcome. It raises
    ExecutorError where it cannot work at all.
    """

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many evaluations run at a time when all workers are well."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many configurations may be submitted now."""

    @abstractmethod
    def submit(self, ticket: int, configuration: Configuration) -> None:
        """Starts an evaluation; only called while ``free`` is positive.

        Raises:
            ExecutorError: if no worker can be started.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> Outcome | None:
        """The next finished evaluation, or None if none finishes in time.

        Raises:
            ExecutorError: if all workers are lost.
        """

    @abstractmethod
    def shutdown(self) -> None:
        """Ends every worker and whatever it started; running evaluations are dropped."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
