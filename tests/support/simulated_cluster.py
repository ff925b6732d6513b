"""A cluster of workers, simulated event by event, that the real driver of a study works with."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from npu_tune.errors import CompilerError, WorkerLostError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.pool import Binding, Finished, Pool, Task
from npu_tune.evaluation.pool.attempts import Attempts
from npu_tune.evaluation.pool.base import Submission
from npu_tune.evaluation.pooled import Outcomes
from npu_tune.targets import Problem


@dataclass(frozen=True)
class Weather:
    """What evaluations take, and what befalls them.

    Args:
        mean_s: that an evaluation takes.
        spread: standard deviation of the logarithm of that; the distribution is lognormal.
        failing: share of the evaluations that fail.
        lost_at_s: when nodes are lost for good with all that runs there, by the simulated clock.
        seed: of the durations and failures.
    """

    mean_s: float = 5.0
    spread: float = 0.5
    failing: float = 0.02
    lost_at_s: tuple[float, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Hours:
    """Seconds that workers have spent.

    Args:
        at_work: evaluating.
        there: at all; those of a lost node are not there any more.
        driver: of the driver's, by the simulated clock; what it waits for workers is not in it.
        span: by the simulated clock.
    """

    at_work: float = 0.0
    there: float = 0.0
    driver: float = 0.0
    span: float = 0.0

    def since(self, earlier: Hours) -> Hours:
        """What was spent since then."""
        return Hours(
            self.at_work - earlier.at_work,
            self.there - earlier.there,
            self.driver - earlier.driver,
            self.span - earlier.span,
        )


@dataclass(frozen=True)
class _Run:
    """A task on a worker, and how long it takes there; less than 0 where it is given up."""

    submission: Submission[Outcomes]
    node: int
    took_s: float


class OverError(BaseException):
    """Enough was simulated; an Exception would be handled as a failure."""


class SimulatedCluster(Pool[Outcomes]):
    """Workers that evaluate on a simulated clock, while the driver is as slow as it really is.

    The processor time that this process spends between two calls is put on the clock, and so is
    what a task on Ray takes to be handed over; evaluations themselves are made in this process and
    take the clock no time but their made-up duration. What a lost node had under way is tried again
    elsewhere as often as the pool on Ray does it.

    Args:
        problem: what is evaluated.
        workers: how many; a multiple of ``nodes``.
        nodes: machines with as many workers each.
        weather: of the evaluations.
        marks: by number of answers, what to do then; :attr:`seen` gets an entry, and after the
            last one :class:`OverError` is raised.

    Attributes:
        seen: by number of answers, what the workers had spent then.
        lost: evaluations that were under way on a lost node.
        now_s: the simulated clock.
    """

    task_s = 0.0015  # what handing a task to Ray takes of the driver

    def __init__(
        self,
        problem: Problem,
        *,
        workers: int,
        nodes: int,
        weather: Weather,
        marks: Mapping[int, Callable[[], None]],
    ) -> None:
        self._problem = problem
        self._weather = weather
        self._random = np.random.default_rng(weather.seed)
        self._capacity = workers
        self._nodes = nodes
        self._idle = deque(node for node in range(nodes) for _ in range(workers // nodes))
        self._lost_nodes: set[int] = set()
        self._there = len(self._idle)
        # Ends of evaluations, and losses of nodes, in the order of time.
        self._events: list[tuple[float, int, int]] = []
        self._running: dict[int, _Run] = {}
        self._again: deque[Submission[Outcomes]] = deque()
        self._done: deque[_Run] = deque()
        self._attempts = Attempts(workers=workers)
        for node, lost_at in enumerate(weather.lost_at_s):
            heapq.heappush(self._events, (lost_at, -1, node))
        self._starts = 0
        self._answers = 0
        self._marks = marks
        self.seen: dict[int, Hours] = {}
        self.lost = 0
        self.now_s = 0.0
        self._hours = Hours()
        self._mark = time.process_time()

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        return max(len(self._idle) - len(self._again), 0)

    def submit(self, ticket: int, task: Task[Outcomes], binding: Binding) -> None:
        self._work()
        self._again.append(Submission(ticket, task, binding))
        self._hand_out()
        self._pass(self.now_s + self.task_s, driver=True)

    def wait(self, timeout_s: float) -> Finished[Outcomes] | None:
        self._work()
        self._hand_out()
        if not self._done and self._events:
            self._pass(min(self._events[0][0], self.now_s + timeout_s))
        if not self._done:
            return None
        run = self._done.popleft()
        if run.node not in self._lost_nodes:
            # As with Ray, a worker is known to be idle when its answer is taken.
            self._idle.append(run.node)
        answer = self._answer(run)
        self._attempts.forget(run.submission.ticket)
        self._answers += 1
        if self._answers in self._marks:
            self.seen[self._answers] = self._hours
            self._marks[self._answers]()
            if self._answers == max(self._marks):
                raise OverError
        self._mark = time.process_time()  # an evaluation is the workers' business
        return Finished(run.submission.ticket, answer)

    def close(self) -> None:
        self._running.clear()

    def _work(self) -> None:
        """Puts what the driver has done since the last call on the clock."""
        now = time.process_time()
        spent, self._mark = now - self._mark, now
        self._pass(self.now_s + spent, driver=True)

    def _pass(self, until_s: float, *, driver: bool = False) -> None:
        """Lets time pass, and everything happen that happens meanwhile."""
        began_s = self.now_s
        while self._events and self._events[0][0] <= until_s:
            at_s, start, what = heapq.heappop(self._events)
            self._count(at_s)
            if start < 0:
                self._lose(what)
            elif start in self._running:
                self._done.append(self._running.pop(start))
        self._count(until_s)
        if driver:
            self._hours = replace(self._hours, driver=self._hours.driver + until_s - began_s)

    def _count(self, now_s: float) -> None:
        hours, passed_s = self._hours, now_s - self.now_s
        self._hours = Hours(
            hours.at_work + passed_s * len(self._running),
            hours.there + passed_s * self._there,
            hours.driver,
            hours.span + passed_s,
        )
        self.now_s = now_s

    def _hand_out(self) -> None:
        while self._again and self._idle:
            self._start(self._again.popleft())

    def _start(self, submission: Submission[Outcomes]) -> None:
        weather = self._weather
        middle_s = weather.mean_s / np.exp(weather.spread**2 / 2)
        took_s = float(middle_s * self._random.lognormal(0.0, weather.spread))
        self._running[self._starts] = _Run(submission, self._idle.popleft(), took_s)
        heapq.heappush(self._events, (self.now_s + took_s, self._starts, 0))
        self._starts += 1

    def _lose(self, node: int) -> None:
        self._lost_nodes.add(node)
        self._there -= self._capacity // self._nodes
        self._idle = deque(other for other in self._idle if other != node)
        gone = [start for start, run in self._running.items() if run.node == node]
        for start in gone:
            run = self._running.pop(start)
            self.lost += 1
            if self._attempts.lost(run.submission.ticket):
                self._again.append(run.submission)
            else:
                self._done.append(replace(run, took_s=-1.0))

    def _answer(self, run: _Run) -> Outcomes:
        task, took_s = run.submission.task, run.took_s
        if took_s < 0:
            return task.give_up(WorkerLostError("Its node was lost."))
        outcomes = task.run(self._problem, lambda _: None)
        if self._random.random() < self._weather.failing:
            error = CompilerError("The compiler gives up.")
            return tuple(Outcome.failed(error, seconds=took_s) for _ in outcomes)
        return tuple(replace(outcome, seconds=took_s) for outcome in outcomes)
