"""Evaluating on a pool, one configuration after the other."""

from __future__ import annotations

from fake_targets import LayeredTarget, fake_network

from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Binding, Finished, Pool
from npu_tune.evaluation.pooled import EvaluationTask
from npu_tune.space import Configuration
from npu_tune.targets import Problem, Target

NETWORK = fake_network()
SPACE = LayeredTarget().space(NETWORK)
CHANGED = [SPACE.configuration({"layer0/block": 8 * (i + 2)}) for i in range(3)]


def request(problem: Problem, configuration: Configuration) -> Request:
    return Request(configuration, problem.key(configuration))


def submit(pool: Pool, target: Target, configuration: Configuration, ticket: int = 0) -> None:
    problem = target.bind(NETWORK)
    task = EvaluationTask((request(problem, configuration),))
    pool.submit(ticket, task, Binding.of(problem))


def only_finished(pool: Pool) -> Finished:
    """The answer to the one task that is under way."""
    while True:
        finished = pool.wait(10.0)
        if finished is not None:
            return finished


def next_finished(pool: Pool) -> Finished[Outcome]:
    """What comes of the one evaluation of the next task."""
    finished = only_finished(pool)
    (outcome,) = finished.answer
    return Finished(finished.ticket, outcome)


def evaluate(
    pool: Pool, target: Target, configuration: Configuration, ticket: int = 0
) -> Finished:
    """What comes of one evaluation."""
    submit(pool, target, configuration, ticket)
    return next_finished(pool)
