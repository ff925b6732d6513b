"""Many workers at once: nobody waits, and nothing is evaluated twice."""

from __future__ import annotations

import pytest
from layered_problem import LayeredProblem, quiet
from our_samplers import SAMPLERS
from simulated_workers import work

from npu_tune._optuna_compat import SearchStudy

PROBLEM = LayeredProblem(layers=6)


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def _evaluate(params):
    costs = PROBLEM.costs(params)
    return [sum(costs) / 2], {"profile": PROBLEM.profile(params)}


@pytest.mark.slow
@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_64_workers_are_busy_with_different_configurations_that_improve(make):
    study = SearchStudy(
        make(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    shift = work(study, _evaluate, workers=64, trials=300, seed=1)
    assert shift.busy >= 0.95
    assert shift.repeated == 0
    finished = [t.values[0] for t in study.study.get_trials(deepcopy=False) if t.values]
    assert min(finished) < 0.95
