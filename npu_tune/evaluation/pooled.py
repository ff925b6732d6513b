"""Evaluates on a pool: fast evaluations several at a time, slow ones one by one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from npu_tune.errors import EvaluationError, NpuTuneError, WorkerLostError
from npu_tune.evaluation.batches import BatchSize
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
    :class:`npu_tune.evaluation.batches.BatchSize`. With one worker, one evaluation is under way at
    a time, so that every proposal knows all that was evaluated before it.

    Args:
        pool: of workers; closed with the evaluator.
        problem: what is evaluated.
        budget: evaluations that are planned in all; None where that is not known.
    """

    def __init__(
        self, pool: Pool[Outcomes], problem: Problem, *, budget: int | None = None
    ) -> None:
        self._pool = pool
        self._binding = Binding.of(problem)
        self._size = BatchSize(pool.capacity, task_s=pool.task_s, budget=budget)
        self._open: list[tuple[int, Request]] = []
        self._under_way: dict[int, tuple[int, ...]] = {}
        self._answers: deque[Finished[Outcome]] = deque()

    @property
    def capacity(self) -> int:
        return self._pool.capacity

    @property
    def free(self) -> int:
        tasks = self._pool.free
        return tasks * self._size.now - len(self._open) if tasks else 0

    def submit(self, ticket: int, request: Request) -> None:
        if any(request.key == other.key for _, other in self._open):
            self._hand_over()
        self._open.append((ticket, request))
        if len(self._open) >= self._size.now:
            self._hand_over()

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        if self._answers:
            return self._answers.popleft()
        if self._open and self._pool.free:
            self._hand_over()
        finished = self._pool.wait(timeout_s)
        if finished is None:
            return None
        tickets = self._under_way.pop(finished.ticket)
        self._size.learn([outcome.seconds for outcome in finished.answer])
        self._answers += map(Finished, tickets, finished.answer)
        return self._answers.popleft()

    def close(self) -> None:
        self._pool.close()

    def _hand_over(self) -> None:
        tickets, requests = zip(*self._open, strict=True)
        self._open.clear()
        # The first ticket is nobody else's.
        self._under_way[tickets[0]] = tickets
        self._pool.submit(tickets[0], EvaluationTask(requests), self._binding)
