"""Evaluates on a pool: fast evaluations several at a time, slow ones one by one."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from npu_tune.errors import EvaluationError, ExecutorError, NpuTuneError, WorkerLostError
from npu_tune.evaluation.batches import Ahead, BatchSize
from npu_tune.evaluation.evaluate import evaluate
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.evaluation.outcome import Outcome
from npu_tune.evaluation.pool import Binding, Finished, Pool, Task, Watch
from npu_tune.targets import Problem

Outcomes = tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class EvaluationTask(Task[Outcomes]):
    """Evaluates configurations in a worker, one after the other.

    Args:
        requests: what to evaluate; no key is there twice.
        failed: outcomes, by key, of evaluations that have failed their worker for good.
    """

    requests: tuple[Request, ...]
    failed: dict[str, Outcome] = field(default_factory=dict)

    def run(self, problem: Problem, watch: Watch) -> Outcomes:
        return tuple(self._outcome(problem, request, watch) for request in self.requests)

    def blame(self, key: str, error: EvaluationError, seconds: float) -> Outcomes | Task[Outcomes]:
        failed = {**self.failed, key: Outcome.failed(error, seconds=seconds)}
        if all(request.key in failed for request in self.requests):
            return tuple(failed[request.key] for request in self.requests)
        return replace(self, failed=failed)

    def give_up(self, error: WorkerLostError) -> Outcomes:
        return tuple(
            self.failed.get(request.key, Outcome.failed(error)) for request in self.requests
        )

    def refuse(self, error: NpuTuneError) -> Outcomes:
        raise error

    def longest_s(self, timeout_s: float) -> float:
        return len(self.requests) * timeout_s

    def is_lost(self, answer: Outcomes) -> bool:
        return any(isinstance(outcome.error, WorkerLostError) for outcome in answer)

    def _outcome(self, problem: Problem, request: Request, watch: Watch) -> Outcome:
        if request.key in self.failed:
            return self.failed[request.key]
        watch(request.key)
        outcome = evaluate(problem, request.configuration, request.metrics)
        watch(None)
        return outcome


class PooledEvaluator(Evaluator):
    """Evaluates on a pool of workers.

    What takes a worker less time than it takes to hand it over is handed over with others, see
    :class:`npu_tune.evaluation.batches.BatchSize`. Where proposals take long beside evaluations, one
    task waits here for the first worker that is free again, see
    :class:`npu_tune.evaluation.batches.Ahead`; the pool hears of it when a worker has nothing else to
    do. With one worker, one evaluation is under way at a time, so that every proposal knows all that
    was evaluated before it.

    Args:
        pool: of workers; closed with the evaluator.
        problem: what is evaluated.
        budget: evaluations that are planned in all; None where that is not known.
        clock: seconds from any fixed point.
    """

    def __init__(
        self,
        pool: Pool[Outcomes],
        problem: Problem,
        *,
        budget: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._pool = pool
        self._binding = Binding.of(problem)
        self._size = BatchSize(pool.capacity, task_s=pool.task_s, budget=budget)
        self._ahead = Ahead(pool.capacity, budget=budget)
        self._clock = clock
        self._open: list[tuple[int, Request]] = []
        self._under_way: dict[int, tuple[int, ...]] = {}
        self._answers: deque[Finished[Outcome]] = deque()
        # When the latest task was done, and what it has taken; None once the driver waits again.
        self._done: tuple[float, float] | None = None

    @property
    def capacity(self) -> int:
        return self._pool.capacity

    @property
    def free(self) -> int:
        tasks = self._pool.free
        # Nobody waits for what is made ready: what is known by now is to be learnt from before.
        if not tasks and not self._answers and self._ahead.pays(self._size.now):
            tasks = 1
        return max(tasks * self._size.now - len(self._open), 0)

    def submit(self, ticket: int, request: Request) -> None:
        if any(request.key == other.key for _, other in self._open):
            self._hand_over()
        self._open.append((ticket, request))
        if len(self._open) >= self._size.now:
            self._hand_over()

    def withdraw(self) -> list[int]:
        tickets = [ticket for ticket, _ in self._open]
        self._open.clear()
        return tickets

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        if self._answers:
            return self._answers.popleft()
        if self._done is not None:
            done_at, task_s = self._done
            self._ahead.learn(self._clock() - done_at, task_s)
            self._done = None
        self._hand_over()
        finished = self._pool.wait(timeout_s)
        if finished is None:
            return None
        # Where that fails, it fails again once this answer, which is not to be lost, was heard.
        with contextlib.suppress(ExecutorError):
            self._hand_over()
        seconds = [outcome.seconds for outcome in finished.answer]
        self._done = self._clock(), sum(seconds)
        self._size.learn(seconds)
        tickets = self._under_way.pop(finished.ticket)
        self._answers += map(Finished, tickets, finished.answer)
        return self._answers.popleft()

    def close(self) -> None:
        self._pool.close()

    def _hand_over(self) -> None:
        """Gives workers that are free what waits for them."""
        while self._open and self._pool.free:
            keys = [request.key for _, request in self._open]
            # No key is twice in a task.
            count = next((n for n, key in enumerate(keys) if key in keys[:n]), len(keys))
            tickets, requests = zip(*self._open[:count], strict=True)
            # The first ticket is nobody else's.
            self._pool.submit(tickets[0], EvaluationTask(requests), self._binding)
            self._under_way[tickets[0]] = tickets
            del self._open[:count]
