from __future__ import annotations

import itertools
import pickle
import statistics

import numpy as np
import optuna
import pytest
from layered_problem import LayeredProblem, quiet
from optuna.distributions import IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import SimulatedAnnealingSampler

PROBLEM = LayeredProblem()
PLAIN = {f"l{n}/k{n}": IntDistribution(0, 99) for n in range(6)}


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def _study(distributions=PLAIN, *, start=50, objectives=1, **options):
    options = {"seed": 0, "baseline": dict.fromkeys(distributions, start)} | options
    return SearchStudy(
        SimulatedAnnealingSampler(**options), ["minimize"] * objectives, distributions
    )


def _changed(params, base):
    return [name for name, value in params.items() if value != base[name]]


def _walk(study, costs):
    """Tells one cost after the other; returns the parameters of all trials."""
    for cost in costs:
        study.tell(study.ask(), [cost])
    return [trial.params for trial in study.study.get_trials(deepcopy=False)]


def test_a_worse_proposal_is_left_when_it_is_cold():
    params = _walk(_study(initial_temperature=0.0, moves={"knob": 1}), [1.0, 2.0, 2.0, 2.0])
    assert [len(_changed(p, params[0])) for p in params[1:]] == [1, 1, 1]


def test_a_worse_proposal_is_built_upon_when_it_is_hot():
    study = _study(initial_temperature=1e6, cooling_rate=1.0, moves={"knob": 1}, restarts=0)
    params = _walk(study, [1.0, 2.0, 2.0, 2.0])
    assert all(len(_changed(b, a)) == 1 for a, b in itertools.pairwise(params))


def test_a_better_proposal_is_always_built_upon():
    study = _study(initial_temperature=0.0, moves={"knob": 1})
    params = _walk(study, [1.0, 0.9, 0.8, 0.7])
    assert all(len(_changed(b, a)) == 1 for a, b in itertools.pairwise(params))


def test_a_move_of_a_layer_leaves_the_others_alone():
    distributions = {f"l{n}/{k}": IntDistribution(0, 99) for n in range(4) for k in "abc"}
    study = _study(distributions, initial_temperature=0.0, moves={"layer": 1})
    for params in _walk(study, [0.0] + [1.0] * 20)[1:]:
        changed = _changed(params, dict.fromkeys(distributions, 50))
        assert len({name.partition("/")[0] for name in changed}) == 1
        assert len(changed) > 1


def test_a_move_along_layers_sets_one_parameter_of_neighbours_alike():
    distributions = {f"l{n}/k": IntDistribution(0, 99) for n in range(6)}
    study = _study(distributions, initial_temperature=0.0, moves={"along": 1})
    for params in _walk(study, [0.0] + [1.0] * 20)[1:]:
        values = list(params.values())
        new = [n for n, value in enumerate(values) if value != 50]
        assert len({values[n] for n in new}) == 1
        assert new == list(range(new[0], new[-1] + 1))


def test_chains_go_their_own_ways():
    study = _study(
        chains=2, initial_temperature=1e6, cooling_rate=1.0, restarts=0, moves={"knob": 1}
    )
    params = _walk(study, [1.0] * 14)
    for chain in (0, 1):
        own = params[chain::2] if chain == 0 else [params[0], *params[1::2]]
        assert all(len(_changed(b, a)) == 1 for a, b in itertools.pairwise(own))


def test_a_restart_goes_back_to_the_best():
    study = _study(
        evaluations=20, restarts=1, initial_temperature=1e6, cooling_rate=1.0, moves={"knob": 1}
    )
    params = _walk(study, [1.0, 0.5, *[1.0] * 9])
    assert len(_changed(params[9], params[1])) > 2
    assert len(_changed(params[10], params[1])) == 1


def test_repeated_answers_do_not_cool():
    def proposals(repeats):
        study = _study(evaluations=12, initial_temperature=0.3, restarts=1)
        study.tell(study.ask(), [1.0])
        for number in range(10):
            attributes = {"duplicate_of": 0} if repeats else {}
            study.tell(study.ask(), [1.0 + number % 3 / 10], user_attrs=attributes)
        return study.ask().params

    assert proposals(repeats=True) != proposals(repeats=False)


def test_a_feasible_trial_is_kept_before_a_better_infeasible_one():
    study = _study(initial_temperature=1e6, cooling_rate=1.0, moves={"knob": 1}, restarts=0)
    start = study.ask()
    study.tell(start, [1.0], constraints={"limit": -1.0})
    for _ in range(5):
        trial = study.ask()
        assert len(_changed(trial.params, start.params)) == 1
        study.tell(trial, [0.1], constraints={"limit": 0.5})


def test_it_beats_random_search_and_nsga2_at_equal_budgets():
    def median(make):
        return statistics.median(
            LayeredProblem(layers=16, seed=seed).best(make(seed), 250) for seed in range(3)
        )

    random = median(lambda seed: optuna.samplers.RandomSampler(seed=seed))
    nsga2 = median(lambda seed: optuna.samplers.NSGAIISampler(seed=seed))
    for cooling in ("geometric", "adaptive"):
        annealing = median(
            lambda seed, cooling=cooling: SimulatedAnnealingSampler(
                seed=seed, evaluations=250, cooling=cooling
            )
        )
        assert annealing < nsga2 - 0.02
        assert annealing < random - 0.03


def test_without_a_scalarization_chains_spread_over_the_front():
    trials = PROBLEM.search(SimulatedAnnealingSampler(seed=0, evaluations=300), 300, objectives=2)
    fastest = min(trials, key=lambda t: t.values[0])
    smallest = min(trials, key=lambda t: t.values[1])
    assert fastest.values[0] < 0.98
    assert smallest.values[1] < 0.85
    assert smallest.values[0] > fastest.values[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"chains": 0}, "chains"),
        ({"restarts": -1}, "restarts"),
        ({"restarts": 1.5}, "restarts"),
        ({"cooling": "linear"}, "linear"),
        ({"cooling_rate": 0.0}, "cooling_rate"),
        ({"cooling_rate": 1.1}, "cooling_rate"),
        ({"acceptance": 0.0}, "acceptance"),
        ({"initial_temperature": -1.0}, "initial_temperature"),
        ({"initial_temperature": float("nan")}, "initial_temperature"),
        ({"moves": {"jump": 1.0}}, "jump"),
        ({"moves": {"knob": -1.0}}, r"moves\.knob"),
        ({"moves": {"knob": 0.0}}, "moves"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_by_name(options, match):
    with pytest.raises(ValueError, match=match):
        SimulatedAnnealingSampler(**options)


@pytest.mark.parametrize("options", [{}, {"cooling": "adaptive"}, {"noise": 0.05}, {"chains": 3}])
def test_trials_that_finish_late_are_replayed_as_if_all_were_read_at_once(options):
    problem = LayeredProblem(layers=4)
    sampler = SimulatedAnnealingSampler(
        seed=0, baseline=problem.default, initial_temperature=0.05, evaluations=100, **options
    )
    study = SearchStudy(sampler, ["minimize"], problem.distributions)
    random = np.random.default_rng(1)
    running = []
    for _ in range(80):
        trial = study.ask()
        fresh = pickle.loads(pickle.dumps(sampler))  # noqa: S301 - our own
        space = fresh.infer_relative_search_space(study.study, trial)
        if space:
            proposed = sampler.sample_relative(study.study, trial, space)
            assert fresh.sample_relative(study.study, trial, space) == proposed
        running.append(trial)
        if len(running) == 12:
            done = running.pop(int(random.integers(12)))
            study.tell(done, [sum(problem.costs(done.params)) / 2])
