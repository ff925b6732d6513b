from __future__ import annotations

import itertools

import numpy as np
import pytest
from layered_problem import quiet
from optuna.distributions import IntDistribution
from recorded_cpu import RecordedCpu

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import LayerProfileSampler, OfflineQLearningSampler
from npu_tune.samplers.layers import Parameter
from npu_tune.samplers.offline.actions import ActionNumbers, planned_choices, profiling_points
from npu_tune.samplers.offline.costs import Observations, pair_tables
from npu_tune.samplers.offline.episodes import best_walk, explore
from npu_tune.samplers.offline.optimum import OfflineProblem, Peak, TotalBound, along, solve
from npu_tune.samplers.offline.settings import OfflineSettings
from npu_tune.samplers.offline.totals import fit_totals


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def _parameters(*sizes):
    return [Parameter(f"a/k{i}", IntDistribution(0, s - 1)) for i, s in enumerate(sizes)]


def _sampler(problem, seed, make=OfflineQLearningSampler, **options):
    return make(seed=seed, noise=0.01, cost_column="ms", baseline=problem.default, **options)


def _tables(seed=0, layers=6, choices=3):
    random = np.random.default_rng(seed)
    sizes = [1] + [choices] * layers
    return [random.random((b, a)) for b, a in itertools.pairwise(sizes)]


def _every_walk(tables):
    return np.array(np.meshgrid(*[range(t.shape[1]) for t in tables])).reshape(len(tables), -1).T


def test_all_choices_of_a_small_layer_are_profiled_and_of_a_large_one_single_changes():
    assert len(planned_choices(_parameters(2, 4), (0, 0), most=8, positions=4)) == 8
    large = planned_choices(_parameters(40, 40), (20, 20), most=16, positions=4)
    assert large[0] == (20, 20)
    assert all(20 in choice for choice in large)


def test_patterns_show_every_choice_beside_the_first_one_on_either_side():
    choices = [[(0,), (1,), (2,)]] * 4
    points = list(profiling_points(range(4), ((0,),) * 4, choices, [2, 1]))
    pairs = {(p[i][0], p[i + 1][0]) for p in points for i in range(3)}
    assert len(points) == 7
    assert pairs >= {(0, 0), (1, 1), (2, 2), (0, 1), (1, 0), (0, 2), (2, 0)}


def test_tables_meet_what_was_seen_and_add_up_what_was_not():
    actions = [ActionNumbers(_parameters(3)) for _ in range(8)]
    for each in actions:
        for choice in range(3):
            each.number((choice,))
    points = np.array([[0] * 8, [1] * 8, [2] * 8, [0, 1] * 4, [1, 0] * 4, [0, 2] * 4, [2, 0] * 4])
    converted = np.abs(np.diff(points, axis=1, prepend=points[:, :1])) > 0
    values = 1.0 + points + 2.0 * converted
    tables = pair_tables(
        Observations(actions, points, values[:, :, None]), OfflineSettings(), noise=0.0
    )
    for point, row in zip(points, values, strict=True):
        assert tables.totals(point)[0] == pytest.approx(row.sum(), rel=0.02)
    unseen = tables.totals([0, 0, 0, 1, 2, 2, 2, 2])[0]
    assert unseen > tables.totals([0, 0, 0, 2, 2, 2, 2, 2])[0] - 1.0


def test_totals_tell_what_rows_do_not():
    random = np.random.default_rng(0)
    actions = [ActionNumbers(_parameters(3)) for _ in range(8)]
    for each in actions:
        for choice in range(3):
            each.number((choice,))
    points = random.integers(3, size=(90, 8))
    rows = (1.0 + points)[:, :, None]
    # In truth neighbours of unlike choices cost something that stands in no row.
    totals = rows.sum(axis=1) + 0.5 * (np.diff(points, axis=1) != 0).sum(axis=1, keepdims=True)
    settings = OfflineSettings()
    seen = Observations(actions, points[:60], rows[:60])
    tables = pair_tables(seen, settings, noise=0.05)
    fitted = fit_totals(tables, seen, totals[:60], settings, noise=0.02)

    def error(tables):
        predicted = np.array([tables.totals(point) for point in points[60:]])
        return float(np.sqrt(np.mean((predicted - totals[60:]) ** 2)))

    assert error(fitted) < 0.2 * error(tables)


def test_episodes_find_the_walk_that_costs_least():
    tables = _tables()
    experience = explore(tables, np.random.default_rng(0), episodes=300, batch=10)
    found = best_walk(experience.learn(tables))
    best = min(along(tables, walk).sum() for walk in _every_walk(tables))
    assert along(tables, found).sum() == pytest.approx(best)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_under_a_bound_is_near_the_best_there_is(seed):
    costs, column = _tables(seed), _tables(seed + 100)
    walks = _every_walk(costs)
    sums = np.array([along(column, walk).sum() for walk in walks])
    most = float(np.quantile(sums, 0.1))
    best = min(along(costs, w).sum() for w, s in zip(walks, sums, strict=True) if s <= most)
    experience = explore(costs, np.random.default_rng(0), episodes=300, batch=10)
    problem = OfflineProblem(costs, bounds=(TotalBound(column, most),))
    found = solve(problem, experience, peak_limits=4)
    assert along(column, found).sum() <= most
    assert along(costs, found).sum() <= 1.1 * best


def test_ceilings_and_peaks_are_kept_low():
    costs, column = _tables(1), _tables(2)
    experience = explore(costs, np.random.default_rng(0), episodes=300, batch=10)
    ceiling = OfflineProblem(costs, ceilings=(TotalBound(column, 0.6),))
    assert along(column, solve(ceiling, experience, peak_limits=4)).max() <= 0.6
    peak = OfflineProblem(costs, peaks=(Peak(column, 100.0),))
    free = solve(OfflineProblem(costs), experience, peak_limits=20)
    found = solve(peak, experience, peak_limits=20)
    assert peak.cost(found) <= peak.cost(free)


@pytest.mark.parametrize(("name", "floor"), [("squeezenet", 30.0), ("mobilenet-v2-1.0-224", 37.0)])
def test_on_a_recorded_cpu_it_comes_close_to_the_optimum_under_a_limit(name, floor):
    problem = RecordedCpu(name, floor)
    trials = problem.search(_sampler(problem, 0, evaluations=60), 60)
    assert problem.regret(trials) < 0.04


def test_the_sampler_of_profiles_meets_limits_of_a_recorded_cpu_too():
    problem = RecordedCpu("squeezenet", 35.0)
    trials = problem.search(_sampler(problem, 0, LayerProfileSampler, group_column=None), 70)
    assert problem.regret(trials) < 0.05


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (OfflineQLearningSampler, {"evaluations": 100}),
        (LayerProfileSampler, {"group_column": None}),
    ],
    ids=("qlearning-offline", "profile"),
)
def test_where_layers_do_not_add_up_to_the_whole_totals_lead_to_what_is_best(make, options):
    problem = RecordedCpu("squeezenet", 31.0, roughness=0.6)
    costs = [
        problem.cost(problem.search(_sampler(problem, seed, make, **options), 100))
        for seed in (1, 2)
    ]
    assert max(costs) < 0.61


def test_an_interrupted_search_under_limits_goes_on_as_if_uninterrupted():
    problem = RecordedCpu("squeezenet", 30.0)
    whole = problem.search(_sampler(problem, 1, evaluations=40), 40)
    study = SearchStudy(_sampler(problem, 1, evaluations=40), ["minimize"], problem.distributions)
    study.add(whole[:35])
    assert study.ask().params == whole[35].params


def test_a_verified_trial_has_a_prediction_until_it_has_finished():
    problem = RecordedCpu("squeezenet", 30.0)
    sampler = _sampler(problem, 1, evaluations=40)
    study = SearchStudy(sampler, ["minimize"], problem.distributions)
    study.add(problem.search(_sampler(problem, 1, evaluations=40), 40))
    trial = study.ask()
    predicted = study.prediction(trial)
    assert predicted == pytest.approx(problem.ratio(trial.params), rel=0.1)
    study.tell(trial, **problem.measure(trial.params))
    assert study.prediction(trial) is None
