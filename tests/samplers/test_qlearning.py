from __future__ import annotations

import statistics

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layered_problem import LayeredProblem, quiet
from optuna.distributions import CategoricalDistribution, IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import QLearningSampler
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.walk import Walk

NAMES = {f"l{n}/k": CategoricalDistribution(tuple(range(4))) for n in range(4)}


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


@given(
    sizes=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=4),
    at_once=st.integers(1, 30),
    data=st.data(),
)
def test_a_point_and_its_walk_say_the_same(sizes, at_once, data):
    space = LayeredSpace.of(
        {
            f"l{n}/k{place}": IntDistribution(0, size - 1)
            for n, layer in enumerate(sizes)
            for place, size in enumerate(layer)
        },
        None,
    )
    point = tuple(tuple(data.draw(st.integers(0, size - 1)) for size in layer) for layer in sizes)
    walk = Walk(space, at_once)
    actions = walk.actions_of(point)
    assert walk.point_of(actions) == point
    assert all(a < d.actions for a, d in zip(actions, walk.decisions, strict=True))


def test_a_small_layer_is_one_decision_and_a_large_one_a_decision_per_parameter():
    distributions = {
        "small/a": IntDistribution(0, 3),
        "small/b": IntDistribution(0, 3),
        "large/a": IntDistribution(0, 9),
        "large/b": IntDistribution(0, 9),
        "large/one": IntDistribution(0, 0),
    }
    walk = Walk(LayeredSpace.of(distributions, None), 16)
    assert [decision.actions for decision in walk.decisions] == [16, 10, 10]
    assert [decision.share for decision in walk.decisions] == [1.0, 0.5, 0.5]


def _study(**options):
    options = {"seed": 0, "baseline": dict.fromkeys(NAMES, 0), "evaluations": 100} | options
    return SearchStudy(QLearningSampler(**options), ["minimize"], NAMES)


def _pairs(params, table):
    values = list(params.values())
    before = [0, *values[:-1]]
    rows = {
        f"l{n}": {"cycles": float(table[n, b, v])}
        for n, (b, v) in enumerate(zip(before, values, strict=True))
    }
    return rows, sum(row["cycles"] for row in rows.values())


def test_it_learns_what_a_choice_costs_after_the_one_before():
    table = np.random.default_rng(1).uniform(1, 10, (4, 4, 4))
    best = {0: 0.0}
    for n in range(4):
        best = {v: min(c + table[n, b, v] for b, c in best.items()) for v in range(4)}
    study = _study()
    for _ in range(100):
        trial = study.ask()
        rows, total = _pairs(trial.params, table)
        study.tell(trial, [total], user_attrs={"profile": rows})
    found = min(trial.values[0] for trial in study.study.get_trials(deepcopy=False))
    assert found <= 1.02 * min(best.values())


def test_without_profiles_it_learns_from_totals():
    study = _study()
    for _ in range(100):
        trial = study.ask()
        study.tell(trial, [10.0 + sum((v - 2) ** 2 for v in trial.params.values())])
    assert min(trial.values[0] for trial in study.study.get_trials(deepcopy=False)) <= 10.0


def test_exploration_ends():
    study = _study(epsilon=1.0, exploration=0.3)
    for _ in range(100):
        trial = study.ask()
        rows = {f"l{n}": {"cycles": 4.0 - v} for n, v in enumerate(trial.params.values())}
        total = sum(row["cycles"] for row in rows.values())
        study.tell(trial, [total + 1.0], user_attrs={"profile": rows})
    values = [trial.values[0] for trial in study.study.get_trials(deepcopy=False)]
    assert statistics.mean(values[40:]) < statistics.mean(values[1:30])


def test_the_column_by_which_costs_are_shared_out_may_be_chosen():
    def last(column):
        study = _study(cost_column=column)
        for _ in range(30):
            trial = study.ask()
            rows = {
                f"l{n}": {"cycles": 5.0 - v, "other": 1.0 + v}
                for n, v in enumerate(trial.params.values())
            }
            study.tell(trial, [1.0], user_attrs={"profile": rows})
        return [t.params for t in study.study.get_trials(deepcopy=False)]

    assert last("cycles") == last(None)
    assert last("cycles") != last("other")


def test_failed_trials_are_avoided():
    study = _study(epsilon=0.3)
    for _ in range(100):
        trial = study.ask()
        illegal = trial.params["l1/k"] == 3
        study.tell(trial, None if illegal else [1.0 - 0.01 * sum(trial.params.values())])
    late = study.study.get_trials(deepcopy=False)[60:]
    assert sum(trial.values is None for trial in late) <= len(late) // 5


def test_it_beats_random_search_and_nsga2_at_equal_budgets():
    def median(make):
        found = []
        for seed in range(3):
            problem = LayeredProblem(layers=16, seed=seed)
            trials = problem.search(make(seed), 250, profiles=True)
            found.append(min(trial.values[0] for trial in trials))
        return statistics.median(found)

    ours = median(lambda seed: QLearningSampler(seed=seed, evaluations=250))
    assert ours < median(lambda seed: optuna.samplers.NSGAIISampler(seed=seed))
    assert ours < median(lambda seed: optuna.samplers.RandomSampler(seed=seed)) - 0.02


@pytest.mark.parametrize(
    "options",
    [
        {"epsilon": 0.0},
        {"epsilon": 1.5},
        {"final_epsilon": 0.0},
        {"exploration": 2.0},
        {"learning_rate": 0.0},
        {"discount": -0.1},
        {"failure_cost": float("nan")},
        {"choices_at_once": 0},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        QLearningSampler(**options)
