"""Evaluators: what a search asks for evaluations, wherever they come from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from npu_tune.closing import Closing
from npu_tune.evaluation.outcome import Outcome
from npu_tune.evaluation.pool import Finished
from npu_tune.space import Configuration


@dataclass(frozen=True, slots=True)
class Request:
    """A configuration to be evaluated.

    Args:
        configuration: the effective one.
        key: of it.
        sample: which of several evaluations of the same configuration is meant, from 0; above 0
            only where evaluations differ.
        fresh: True where no earlier outcome will do.
        metrics: names of those that are needed; others that are on request may be left out.
    """

    configuration: Configuration
    key: str
    sample: int = 0
    fresh: bool = False
    metrics: tuple[str, ...] = ()

    def is_answered_by(self, outcome: Outcome) -> bool:
        """False for an evaluation that was made without a metric that is needed here."""
        evaluation = outcome.evaluation
        return evaluation is None or evaluation.metrics.keys() >= set(self.metrics)


class Evaluator(Closing):
    """Evaluates configurations of one problem, several at a time.

    It never raises what a configuration caused: that is an outcome. It raises ExecutorError
    where it cannot work at all.
    """

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many evaluations run at a time when all workers are well."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more requests may be submitted now."""

    @abstractmethod
    def submit(self, ticket: int, request: Request) -> None:
        """Starts an evaluation, or has it wait for a worker; only called while ``free`` is positive."""

    def withdraw(self) -> list[int]:
        """Takes back what no worker was given yet; returns the tickets, which get no outcome."""
        return []

    @abstractmethod
    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        """The next outcome with its ticket, or None if none comes in time."""
