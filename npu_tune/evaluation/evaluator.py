"""Evaluators: what a search asks for evaluations, wherever they come from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from npu_tune.closing import Closing
from npu_tune.evaluation.outcome import Outcome
from npu_tune.evaluation.pool import Finished
from npu_tune.evaluation.store import Store
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
        """Starts an evaluation; only called while ``free`` is positive."""

    @abstractmethod
    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        """The next outcome with its ticket, or None if none comes in time."""


class StoredEvaluator(Evaluator):
    """Takes outcomes from a store where it has them, and adds what it has not.

    Args:
        evaluator: is asked for what the store does not have; closed with this one.
        store: of the same problem; whoever opened it closes it.
        reuse: False only adds to the store: what a machine took an hour ago says little about
            what it takes now.

    Attributes:
        hits: how many outcomes came from the store.
    """

    def __init__(self, evaluator: Evaluator, store: Store, *, reuse: bool = True) -> None:
        self._evaluator = evaluator
        self._store = store
        self._reuse = reuse
        self._found: list[Finished[Outcome]] = []
        self._requests: dict[int, Request] = {}
        self.hits = 0

    @property
    def capacity(self) -> int:
        return self._evaluator.capacity

    @property
    def free(self) -> int:
        return max(self._evaluator.free - len(self._found), 0)

    def submit(self, ticket: int, request: Request) -> None:
        may_find = self._reuse and not request.fresh
        found = self._store.find(request.key, request.sample) if may_find else None
        if found is not None and request.is_answered_by(found):
            self.hits += 1
            self._found.append(Finished(ticket, found))
            return
        self._requests[ticket] = request
        self._evaluator.submit(ticket, request)

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        if self._found:
            return self._found.pop(0)
        finished = self._evaluator.wait(timeout_s)
        if finished is not None:
            request = self._requests.pop(finished.ticket)
            if not self._reuse:
                self._store.add_sample(request.key, finished.answer)
            elif not request.fresh:
                self._store.learn(request.key, finished.answer, request.sample)
        return finished

    def close(self) -> None:
        self._evaluator.close()
