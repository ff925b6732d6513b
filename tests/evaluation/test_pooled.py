from __future__ import annotations

import dataclasses
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
    Where,
)

from npu_tune.errors import CompilerCrashError, WorkerLostError
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


def outcome(cycles=1.0, seconds=0.0):
    return Outcome(Evaluation({"cycles": cycles}), None, seconds)


def request(number=0, sample=0):
    return Request(CHANGED[number], f"key{number}", sample)


def run(evaluator, requests):
    """What comes of requests, by their number."""
    waiting, answers = list(enumerate(requests)), {}
    while len(answers) < len(requests):
        while waiting and evaluator.free > 0:
            evaluator.submit(*waiting.pop(0))
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
