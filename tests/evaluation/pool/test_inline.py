from __future__ import annotations

from dataclasses import dataclass

import pytest
from evaluations import CHANGED, NETWORK, SPACE, evaluate, submit
from fake_targets import (
    LayeredTarget,
    Loud,
    NoisyTarget,
    Refusing,
    WrappedProblem,
    WrappedTarget,
)

from npu_tune.errors import ModelError
from npu_tune.evaluation.pool.inline import InlinePool


def test_an_evaluation_comes_back_under_its_ticket():
    with InlinePool() as pool:
        submit(pool, LayeredTarget(), SPACE.default, ticket=7)
        assert (pool.capacity, pool.free) == (1, 0)
        finished = pool.wait(0.0)
        assert pool.free == 1
        assert pool.wait(0.0) is None

    here = LayeredTarget().evaluate(NETWORK, SPACE.default)
    (outcome,) = finished.answer
    assert finished.ticket == 7
    assert outcome.evaluation.metrics == dict(here.metrics)
    assert outcome.error is None


def test_nothing_a_compiler_prints_reaches_the_terminal(capfd):
    with InlinePool() as pool:
        outcome = evaluate(pool, Loud(), CHANGED[0]).answer

    assert outcome.error is None
    assert "NOISE" not in "".join(capfd.readouterr())


def test_a_problem_that_the_target_refuses_ends_with_the_targets_own_words():
    with InlinePool() as pool:
        submit(pool, Refusing(), SPACE.default)
        with pytest.raises(ModelError, match="Not here"):
            pool.wait(0.0)


def test_every_evaluation_is_of_the_problem_it_is_asked_of():
    slow = LayeredTarget(layer_cycles=2000.0)
    with InlinePool() as pool:
        cycles = [
            evaluate(pool, target, CHANGED[0]).answer.evaluation.metrics["cycles"]
            for target in (LayeredTarget(), slow, LayeredTarget())
        ]

    assert cycles[0] == cycles[2] < cycles[1]


@dataclass(frozen=True)
class Noting(WrappedTarget):
    """Notes how many of its problems are open."""

    def bind(self, network):
        return NotingProblem(self, self.inner.bind(network))


class NotingProblem(WrappedProblem):
    closed = 0

    def close(self):
        super().close()
        NotingProblem.closed += 1


@pytest.fixture
def closed(monkeypatch):
    monkeypatch.setattr(NotingProblem, "closed", 0)
    return lambda: NotingProblem.closed


def test_a_problem_that_was_bound_here_is_closed_here(closed):
    with InlinePool() as pool:
        evaluate(pool, Noting(), CHANGED[0])
        assert closed() == 0
        evaluate(pool, LayeredTarget(), CHANGED[0])
        assert closed() == 1
    assert closed() == 1


def test_a_problem_that_is_open_already_is_used_and_left_open(closed):
    problem = Noting(NoisyTarget()).bind(NETWORK)
    with InlinePool(problem) as pool:
        outcome = evaluate(pool, problem.target, CHANGED[0]).answer

    assert closed() == 0
    # The noise goes on with the second evaluation of this problem.
    first, second = (Noting(NoisyTarget()).bind(NETWORK) for _ in range(2))
    assert outcome.evaluation.metrics == first.evaluate(CHANGED[0]).metrics
    second.evaluate(CHANGED[0])
    assert problem.evaluate(CHANGED[0]).metrics == second.evaluate(CHANGED[0]).metrics
