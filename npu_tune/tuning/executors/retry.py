"""Gives an evaluation whose worker died another chance on another worker."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict, deque

from npu_tune.errors import CompilerCrashError, EvaluationError, WorkerLostError
from npu_tune.space import Configuration
from npu_tune.tuning.executors.base import Executor, Outcome

CRASH_RETRIES = 1
"""A process that dies may have been killed from outside (out of memory); when it dies again on
a fresh worker, the configuration is to blame."""

LOST_RETRIES = 5
"""A lost machine says nothing about the configuration, but nothing is tried for ever."""


class RetryingExecutor(Executor):
    """Wraps an executor and submits again what died with its worker."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._configurations: dict[int, Configuration] = {}
        self._tries: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._again: deque[int] = deque()

    @property
    def capacity(self) -> int:
        return self._executor.capacity

    @property
    def free(self) -> int:
        return max(self._executor.free - len(self._again), 0)

    def submit(self, ticket: int, configuration: Configuration) -> None:
        self._configurations[ticket] = configuration
        self._executor.submit(ticket, configuration)

    def wait(self, timeout_s: float) -> Outcome | None:
        while self._again and self._executor.free:
            ticket = self._again.popleft()
            self._executor.submit(ticket, self._configurations[ticket])
        outcome = self._executor.wait(timeout_s)
        if outcome is None:
            return None
        if outcome.error is not None and self._may_retry(outcome.ticket, outcome.error):
            self._again.append(outcome.ticket)
            return None
        del self._configurations[outcome.ticket]
        self._tries.pop(outcome.ticket, None)
        if isinstance(outcome.error, CompilerCrashError):
            again = CompilerCrashError(
                f"{outcome.error.message} It did so {CRASH_RETRIES + 1} times.",
                **outcome.error.data,
            )
            return dataclasses.replace(outcome, error=again)
        return outcome

    def close(self) -> None:
        self._executor.close()

    def _may_retry(self, ticket: int, error: EvaluationError) -> bool:
        most = {
            CompilerCrashError.failure: CRASH_RETRIES,
            WorkerLostError.failure: LOST_RETRIES,
        }.get(error.failure, 0)
        self._tries[ticket][error.failure] += 1
        return self._tries[ticket][error.failure] <= most
