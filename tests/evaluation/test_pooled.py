from __future__ import annotations

import dataclasses
import itertools
import os
import signal

import pytest
from evaluations import CHANGED, NETWORK
from fake_targets import (
    Counting,
    CrashingTarget,
    HangingTarget,
    LayeredTarget,
    Spoiling,
    Thrifty,
    Waiting,
    Where,
    parent_of,
    wait_until,
)
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import CompilerCrashError, ExecutorError, WorkerLostError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Finished, Pool
from npu_tune.evaluation.pool.inline import InlinePool
from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.evaluation.pool.ray import RayPool
from npu_tune.evaluation.pooled import EvaluationTask, PooledEvaluator
from npu_tune.targets import Evaluation
from npu_tune.testing import some_configurations

POOLS = [
    pytest.param(lambda: ProcessPool(workers=2, timeout_s=2.0), id="process"),
    pytest.param(
        lambda: RayPool(workers=2, timeout_s=2.0),
        id="ray",
        marks=[pytest.mark.ray, pytest.mark.slow],
    ),
]
RAY_ACTOR = pytest.param(
    lambda: RayPool(workers=2, timeout_s=60.0), 3, id="ray", marks=POOLS[1].marks
)
"""A pool, and how many generations above a worker's process its actor is: it has two guards."""


class Instant(Pool):
    """Answers every task at once, as if it had been evaluated in this time, and keeps them."""

    capacity = 2
    task_s = 0.001

    def __init__(self, seconds):
        self.seconds = seconds
        self.tasks = []
        self.answers = []

    @property
    def free(self):
        return 2 - len(self.answers)

    def submit(self, ticket, task, binding):
        assert self.free > 0
        self.tasks.append(task)
        answer = tuple(outcome(float(ticket), self.seconds) for _ in task.requests)
        self.answers.append(Finished(ticket, answer))

    def wait(self, timeout_s):
        return self.answers.pop(0) if self.answers else None

    def close(self):
        pass


class Clocked(Pool):
    """Workers on a simulated clock; a driver that looks at the clock has taken some time.

    Args:
        workers: how many.
        seconds: that an evaluation takes.
        driver_s: that the driver takes between two looks at the clock.
    """

    capacity = 0
    task_s = 0.001

    def __init__(self, workers, seconds, driver_s):
        self.capacity = workers
        self.seconds = iter(seconds)
        self.driver_s = driver_s
        self.now = 0.0
        self.running = []
        self.keys = []
        self.gaps = []
        self.done_at = [0.0] * workers

    @property
    def free(self):
        return self.capacity - len(self.running)

    def submit(self, ticket, task, binding):
        assert self.free > 0
        took = [next(self.seconds) for _ in task.requests]
        self.gaps.append(self.now - self.done_at.pop(0))
        self.keys.append([request.key for request in task.requests])
        answer = tuple(outcome(1.0, each) for each in took)
        self.running.append((self.now + sum(took), Finished(ticket, answer)))

    def wait(self, timeout_s):
        if not self.running:
            return None
        first = min(self.running, key=lambda each: each[0])
        self.running.remove(first)
        self.now = max(self.now, first[0])
        self.done_at.append(first[0])
        return first[1]

    def look(self):
        self.now += self.driver_s
        return self.now

    def close(self):
        pass


def outcome(cycles=1.0, seconds=0.0):
    return Outcome(Evaluation({"cycles": cycles}), None, seconds)


def request(number=0, sample=0):
    return Request(CHANGED[number], f"key{number}", sample)


def run(evaluator, requests, begun=None):
    """What comes of requests, by their number; notes how many are begun before each answer."""
    waiting, answers = list(enumerate(requests)), {}
    while len(answers) < len(requests):
        while waiting and evaluator.free > 0:
            evaluator.submit(*waiting.pop(0))
        if begun is not None:
            begun.append(len(requests) - len(waiting) - len(answers))
        finished = evaluator.wait(10.0)
        if finished is not None:
            answers[finished.ticket] = finished.answer
    return answers


@pytest.mark.parametrize("make", [InlinePool, lambda: ProcessPool(workers=2, timeout_s=60.0)])
def test_a_pooled_evaluator_evaluates_its_problem(make):
    problem = LayeredTarget().bind(NETWORK)
    with PooledEvaluator(make(), problem) as evaluator:
        assert evaluator.free == evaluator.capacity
        evaluator.submit(5, Request(CHANGED[0], problem.key(CHANGED[0])))
        assert evaluator.free == evaluator.capacity - 1
        finished = None
        while finished is None:
            finished = evaluator.wait(10.0)

    assert finished.ticket == 5
    assert finished.answer.evaluation == problem.evaluate(CHANGED[0])


def test_fast_evaluations_go_to_a_worker_together_and_slow_ones_alone():
    problem = LayeredTarget().bind(NETWORK)
    requests = [Request(c, str(i)) for i, c in enumerate(some_configurations(problem.space, 60))]
    fast, slow = Instant(0.002), Instant(0.5)

    answers = run(PooledEvaluator(fast, problem), requests)
    run(PooledEvaluator(slow, problem), requests)

    assert sorted(answers) == list(range(60))
    assert [r.key for task in fast.tasks for r in task.requests] == [r.key for r in requests]
    assert [len(task.requests) for task in fast.tasks[:2]] == [1, 1]
    assert max(len(task.requests) for task in fast.tasks) == 5
    assert {len(task.requests) for task in slow.tasks} == {1}


def test_evaluations_of_the_same_configuration_are_never_in_one_task():
    pool = Instant(1e-6)
    evaluator = PooledEvaluator(pool, LayeredTarget().bind(NETWORK))

    answers = run(evaluator, [request(i % 2, sample=i) for i in range(30)])

    assert len(answers) == 30
    for task in pool.tasks:
        keys = [each.key for each in task.requests]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("make", POOLS)
@pytest.mark.parametrize("target", [CrashingTarget, HangingTarget, Spoiling])
def test_what_one_of_a_batch_does_harms_no_other(make, target):
    problem = target(LayeredTarget(), where=Where("layer0/block", 24)).bind(NETWORK)
    plain = LayeredTarget().bind(NETWORK)
    with make() as pool:
        # Fast evaluations, of which each worker gets several at a time.
        pool.task_s = 10.0
        evaluator = PooledEvaluator(pool, problem)
        configurations = [*CHANGED, *some_configurations(problem.space, 9)]
        configurations = list(dict.fromkeys(map(problem.space.effective, configurations)))
        requests = [Request(each, problem.key(each)) for each in configurations]
        answers = run(evaluator, requests[:2])
        answers = run(evaluator, requests)

    for number, configuration in enumerate(configurations):
        answer = answers[number]
        if configuration["layer0/block"] != 24:
            assert answer.evaluation == plain.evaluate(configuration)
        elif target is Spoiling:
            assert answer.error is None
        else:
            assert (
                answer.error.failure == {CrashingTarget: "crash", HangingTarget: "timeout"}[target]
            )


def test_a_worker_that_is_killed_from_outside_costs_no_evaluation_of_its_batch(tmp_path):
    problem = Counting(LayeredTarget(), tmp_path / "log").bind(NETWORK)
    configurations = list(some_configurations(problem.space, 12))
    requests = [Request(each, problem.key(each)) for each in dict.fromkeys(configurations)]
    with ProcessPool(workers=2, timeout_s=60.0) as pool:
        pool.task_s = 10.0
        evaluator = PooledEvaluator(pool, problem)
        run(evaluator, requests[:2])
        os.kill(int(problem.target.log.read_text().split()[0]), signal.SIGKILL)
        answers = run(evaluator, requests)

    assert all(answer.error is None for answer in answers.values())


def test_a_task_says_what_it_evaluates_while_it_does():
    seen = []
    task = EvaluationTask((request(0), request(1)))

    assert len(task.run(LayeredTarget().bind(NETWORK), seen.append)) == 2
    assert seen == ["key0", None, "key1", None]


def test_what_becomes_of_a_task_whose_worker_failed_is_a_failed_outcome():
    task = EvaluationTask((request(),))
    crash = CompilerCrashError("It died.")
    lost = task.give_up(WorkerLostError("gone"))

    assert task.blame("key0", crash, 2.0) == (Outcome.failed(crash, seconds=2.0),)
    assert task.is_lost(lost)
    assert not task.is_lost((outcome(1.0),))
    assert not task.is_lost((Outcome.failed(crash),))


def test_a_task_goes_on_without_what_has_failed_its_worker():
    crash = CompilerCrashError("It died.")
    failed = Outcome.failed(crash, seconds=2.0)
    seen = []

    rest = EvaluationTask((request(0), request(1))).blame("key0", crash, 2.0)
    first, second = rest.run(LayeredTarget().bind(NETWORK), seen.append)

    assert (first, second.error, seen) == (failed, None, ["key1", None])
    assert rest.give_up(WorkerLostError("gone"))[0] == failed


def test_a_task_leaves_out_what_is_not_needed():
    problem = Thrifty(LayeredTarget()).bind(NETWORK)
    asking = dataclasses.replace(request(1), metrics=("share",))
    lean, whole = EvaluationTask((request(), asking)).run(problem, lambda _: None)

    assert "share" not in lean.evaluation.metrics
    assert "share" in whole.evaluation.metrics


def clocked(workers=2, seconds=0.1, driver_s=0.02, budget=None):
    """An evaluator on a simulated clock, and its pool."""
    pool = Clocked(workers, itertools.repeat(seconds), driver_s)
    problem = LayeredTarget().bind(NETWORK)
    return PooledEvaluator(pool, problem, budget=budget, clock=pool.look), pool


def eager(pool, problem):
    """Evaluates one by one, and makes one ready: by its clock, every turn of the driver takes 1 s."""
    pool.task_s = 0.0
    return PooledEvaluator(pool, problem, clock=itertools.count().__next__)


def numbered(count, *, same=0):
    """Requests of different keys, but for so many at the end."""
    return [Request(CHANGED[n % 3], f"key{min(n, count - same)}", n) for n in range(count)]


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 3),
        ({"workers": 5}, 6),
        ({"workers": 1}, 1),
        ({"seconds": 2.0}, 2),  # the driver takes a hundredth of that
        ({"budget": 499}, 2),
        ({"budget": 500}, 3),
        ({"seconds": 0.002, "budget": 10_000}, 15),  # batches of five
        ({"seconds": 0.002, "budget": 10_000, "workers": 1}, 1),
    ],
)
def test_one_task_waits_for_a_worker_where_proposals_take_long(options, most):
    evaluator, pool = clocked(**options)
    begun = []

    answers = run(evaluator, numbered(200), begun)

    assert sorted(answers) == list(range(200))
    assert [key for task in pool.keys for key in task] == [f"key{n}" for n in range(200)]
    assert max(begun) == most


def test_a_worker_goes_on_at_once_with_what_waits():
    evaluator, pool = clocked()

    run(evaluator, numbered(100))

    # Only until it is known what an evaluation takes does a worker wait for the driver.
    assert max(pool.gaps[:10]) > 0
    assert set(pool.gaps[20:]) == {0.0}


def test_what_is_known_is_handed_out_before_anything_is_asked_ahead():
    evaluator, _ = clocked(seconds=0.002, budget=10_000)
    run(evaluator, numbered(100))
    for ticket, each in enumerate(numbered(15)):
        evaluator.submit(ticket, each)

    free = []
    for _ in range(5):
        assert evaluator.wait(1.0) is not None
        free.append(evaluator.free)

    assert free == [0, 0, 0, 0, 5]


def test_what_waits_can_be_withdrawn_and_is_never_evaluated():
    evaluator, pool = clocked()
    run(evaluator, numbered(50))
    assert evaluator.withdraw() == []
    for ticket, each in enumerate(numbered(3)):
        evaluator.submit(ticket, each)
    assert evaluator.free == 0

    withdrawn = evaluator.withdraw()
    answered = [evaluator.wait(1.0).ticket for _ in range(2)]

    assert (withdrawn, sorted(answered)) == ([2], [0, 1])
    assert evaluator.wait(1.0) is None
    assert pool.keys[-2:] == [["key0"], ["key1"]]
    assert evaluator.free == 2


def test_no_answer_is_lost_where_what_waits_cannot_be_handed_over(monkeypatch):
    evaluator, pool = clocked()
    run(evaluator, numbered(50))
    for ticket, each in enumerate(numbered(3)):
        evaluator.submit(ticket, each)

    def fail(*_):
        raise ExecutorError("No worker can be started.")

    monkeypatch.setattr(pool, "submit", fail)

    assert evaluator.wait(1.0).ticket == 0
    with pytest.raises(ExecutorError, match="No worker"):
        evaluator.wait(1.0)


def test_evaluations_of_the_same_configuration_that_wait_go_to_several_workers():
    evaluator, pool = clocked(seconds=0.002, budget=10_000)

    answers = run(evaluator, numbered(120, same=20))

    assert sorted(answers) == list(range(120))
    assert all(len(set(task)) == len(task) for task in pool.keys)


@given(
    st.integers(2, 5),
    st.lists(st.floats(0.001, 0.2), min_size=80, max_size=80),
    st.floats(0.0, 0.05),
    st.none() | st.integers(80, 2000),
)
def test_whatever_takes_how_long_no_more_than_one_task_waits(workers, seconds, driver_s, budget):
    pool = Clocked(workers, seconds, driver_s)
    problem = LayeredTarget().bind(NETWORK)
    evaluator = PooledEvaluator(pool, problem, budget=budget, clock=pool.look)
    begun = []

    answers = run(evaluator, numbered(80), begun)

    assert sorted(answers) == list(range(80))
    assert [key for task in pool.keys for key in task] == [f"key{n}" for n in range(80)]
    assert max(begun) <= (workers + 1) * max(map(len, pool.keys))
    if budget is not None and budget < 500:
        assert max(begun) <= workers


@pytest.mark.parametrize(
    ("target", "failure", "tries"), [(CrashingTarget, "crash", 2), (HangingTarget, "timeout", 1)]
)
def test_what_a_worker_fails_at_is_no_fault_of_what_waits(tmp_path, target, failure, tries):
    failing = target(LayeredTarget(), where=Where("layer0/block", 24))
    problem = Counting(failing, tmp_path / "log").bind(NETWORK)
    fine = [c for c in some_configurations(problem.space, 40) if c["layer0/block"] != 24]
    with ProcessPool(workers=2, timeout_s=1.0) as pool:
        evaluator = eager(pool, problem)
        run(evaluator, [Request(each, problem.key(each)) for each in fine[:12]])
        (tmp_path / "log").unlink()
        asked = [CHANGED[1], *fine[12:20], CHANGED[1], *fine[20:24]]
        requests = [Request(c, problem.key(c), n) for n, c in enumerate(asked)]
        begun = []
        answers = run(evaluator, requests, begun)

    assert max(begun) == 3
    failures = {n: a.error.failure for n, a in answers.items() if a.error is not None}
    assert failures == {0: failure, 9: failure}
    assert len((tmp_path / "log").read_text().splitlines()) == len(asked) - 2 + 2 * tries


@pytest.mark.parametrize(
    ("make", "generations"), [(lambda: ProcessPool(workers=2, timeout_s=60.0), 0), RAY_ACTOR]
)
def test_what_is_lost_takes_nothing_along_that_waits(tmp_path, make, generations):
    waiting = Waiting(LayeredTarget(), where=Where("layer0/block", 24), folder=tmp_path)
    problem = Counting(waiting, tmp_path / "log").bind(NETWORK)
    fine = [c for c in some_configurations(problem.space, 30) if c["layer0/block"] != 24]
    with make() as pool:
        evaluator = eager(pool, problem)
        run(evaluator, [Request(each, problem.key(each)) for each in fine[:12]])
        (tmp_path / "log").unlink()
        for ticket, configuration in enumerate([CHANGED[1], *fine[12:14]]):
            evaluator.submit(ticket, Request(configuration, problem.key(configuration)))
        assert evaluator.free == 0
        wait_until((tmp_path / "begun").exists)
        (tmp_path / "go").touch()
        process = int((tmp_path / "begun").read_text())
        for _ in range(generations):
            process = parent_of(process)
        os.kill(process, signal.SIGKILL)
        answers = {}
        while len(answers) < 3:
            finished = evaluator.wait(10.0)
            if finished is not None:
                answers[finished.ticket] = finished.answer

    assert all(answer.error is None for answer in answers.values())
    # Only what was under way is evaluated once more.
    assert len((tmp_path / "log").read_text().splitlines()) == 4
