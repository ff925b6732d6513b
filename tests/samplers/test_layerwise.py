from __future__ import annotations

import pickle
import statistics
import threading
import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_problem import LayeredProblem, quiet
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import LayerwiseSampler, LayerwiseSettings
from npu_tune.samplers.profile import lessons, profiles
from npu_tune.samplers.profile.profiles import unpack_profile

PROBLEM = LayeredProblem()
TINY = {
    "a/x": IntDistribution(0, 2),
    "a/one": CategoricalDistribution(("only",)),
    "b/y": CategoricalDistribution(("p", "q")),
    "c/one": IntDistribution(5, 5),
}


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def _params(trials):
    return [trial.params for trial in trials]


def _start(sampler, distributions=TINY, directions=("minimize",)):
    study = SearchStudy(sampler, directions, distributions)
    first = {
        n: d.low if isinstance(d, IntDistribution) else d.choices[0]
        for n, d in distributions.items()
    }
    study.enqueue(first)
    return study


@given(
    cut=st.integers(1, 79),
    seed=st.integers(0, 5),
    objectives=st.sampled_from((1, 2)),
)
@settings(max_examples=8, deadline=None)
def test_an_interrupted_search_goes_on_as_if_uninterrupted(cut, seed, objectives):
    whole = PROBLEM.search(LayerwiseSampler(seed=seed), 80, objectives=objectives)
    resumed = PROBLEM.search(
        LayerwiseSampler(seed=seed), 80, objectives=objectives, trials=tuple(whole[:cut])
    )
    assert _params(resumed) == _params(whole)


def test_another_seed_gives_another_search():
    one, other = (PROBLEM.search(LayerwiseSampler(seed=s), 30) for s in (1, 2))
    assert _params(one) != _params(other)


def _visits(sampler, count):
    """The layers in which trials of a space without common parameter names leave the start."""
    distributions = {f"layer{n}/knob{n}": IntDistribution(0, 9) for n in range(6)}
    study = _start(sampler, distributions)
    study.tell(study.ask(), [0.0])
    for _ in range(count):
        study.tell(study.ask(), [1.0])
    return [
        [name.partition("/")[0] for name, value in trial.params.items() if value]
        for trial in study.study.trials[1:]
    ]


def test_a_first_sweep_tries_choices_of_one_layer_after_the_other():
    sampler = LayerwiseSampler(seed=0, candidates_per_layer=3, beam_width=1)
    assert _visits(sampler, 18) == [[f"layer{n}"] for n in range(6) for _ in range(3)]


def test_the_given_order_of_layers_is_followed():
    sampler = LayerwiseSampler(
        seed=0, layer_order=("layer5", "layer2"), candidates_per_layer=1, beam_width=1
    )
    assert _visits(sampler, 4) == [["layer5"], ["layer2"], ["layer0"], ["layer1"]]


def _search_with_profiles(sampler, budget, *, costs, trials=()):
    """A search where the start is best, among layers that differ in what they cost."""
    distributions = {f"{layer}/knob": IntDistribution(0, 9) for layer in costs}
    study = SearchStudy(sampler, ["minimize"], distributions)
    study.add(trials)
    if not trials:
        study.enqueue(dict.fromkeys(distributions, 0))
    for _ in range(budget - len(trials)):
        trial = study.ask()
        rows = {
            layer: {"cycles": cost * (1 + trial.params[f"{layer}/knob"] / 10)}
            for layer, cost in costs.items()
        }
        total = sum(row["cycles"] for row in rows.values())
        study.tell(trial, [total], user_attrs={"profile": rows})
    return study.study.get_trials(deepcopy=False)


def _moved(trials):
    """Per trial but the first, the layers that leave the start."""
    return [[name[0] for name, value in t.params.items() if value] for t in trials[1:]]


def test_with_profiles_the_layers_that_cost_most_come_first():
    sampler = LayerwiseSampler(
        seed=0,
        layer_order=("a", "b", "c", "d"),
        candidates_per_layer=1,
        beam_width=1,
        settings=LayerwiseSettings(sweep_share=0.0, run_share=0.0),
    )
    trials = _search_with_profiles(sampler, 5, costs={"a": 1.0, "b": 50.0, "c": 3.0, "d": 9.0})
    assert _moved(trials) == [["b"], ["d"], ["c"], ["a"]]


def test_a_layer_that_costs_more_gets_more_of_the_first_sweep():
    sampler = LayerwiseSampler(
        seed=0,
        candidates_per_layer=10,
        beam_width=1,
        settings=LayerwiseSettings(sweep_share=0.0, run_share=0.0, first_share=0.2),
    )
    trials = _search_with_profiles(sampler, 7, costs={"a": 1.0, "b": 2.0, "c": 3.0})
    assert _moved(trials) == [["c"]] * 3 + [["b"]] * 2 + [["a"]]


def test_with_profiles_values_are_tried_alike_in_all_layers():
    sampler = LayerwiseSampler(seed=0, settings=LayerwiseSettings(sweep_share=1.0))
    trials = _search_with_profiles(sampler, 4, costs={"a": 1.0, "b": 2.0})
    assert [set(trial.params.values()) for trial in trials] == [{0}, {3}, {6}, {9}]


def test_profiles_are_left_alone_where_that_is_asked_for():
    def moved(key):
        settings = LayerwiseSettings(run_share=0.0)
        sampler = LayerwiseSampler(seed=0, profile_key=key, settings=settings)
        return _moved(_search_with_profiles(sampler, 40, costs={"a": 1.0, "b": 50.0}))

    assert moved(None) == moved("something else")
    assert moved(None)[:2] == [["a"], ["a"]]
    assert moved("profile") != moved(None)


def test_profiles_say_what_matters_where_the_best_trial_has_none():
    settings = LayerwiseSettings(sweep_share=0.0, run_share=0.0)
    distributions = {"a/knob": IntDistribution(0, 9), "b/knob": IntDistribution(0, 9)}
    study = SearchStudy(
        LayerwiseSampler(seed=0, beam_width=1, settings=settings), ["minimize"], distributions
    )
    study.enqueue({"a/knob": 0, "b/knob": 0})
    rows = {"a": {"cycles": 1.0}, "b": {"cycles": 9.0}}
    study.tell(study.ask(), [10.0], user_attrs={"profile": rows})
    study.enqueue({"a/knob": 5, "b/knob": 5})
    study.tell(study.ask(), [9.0])
    proposal = study.ask().params
    assert proposal["a/knob"] == 5
    assert proposal["b/knob"] != 5


def test_the_profiles_of_late_trials_are_not_read(monkeypatch):
    read = []

    def noted(packed):
        read.append(packed)
        return unpack_profile(packed)

    monkeypatch.setattr(profiles, "unpack_profile", noted)
    monkeypatch.setattr(lessons, "_MOST_PROFILES", 6)
    found = _search_with_profiles(LayerwiseSampler(seed=0), 30, costs={"a": 1.0, "b": 5.0})
    assert len(found) == 30
    assert len(read) == 6


@given(cut=st.integers(1, 39), seed=st.integers(0, 5))
@settings(max_examples=8)
def test_an_interrupted_search_with_profiles_goes_on_as_if_uninterrupted(cut, seed):
    costs = {"a": 1.0, "b": 50.0, "c": 3.0}
    whole = _search_with_profiles(LayerwiseSampler(seed=seed), 40, costs=costs)
    resumed = _search_with_profiles(
        LayerwiseSampler(seed=seed), 40, costs=costs, trials=tuple(whole[:cut])
    )
    assert _params(resumed) == _params(whole)


def test_every_kept_solution_gets_its_choices():
    distributions = {f"layer{n}/knob{n}": IntDistribution(0, 9) for n in range(8)}
    study = _start(LayerwiseSampler(seed=0, beam_width=3), distributions)
    for value in (0, 4, 9):
        study.enqueue(dict.fromkeys(distributions, value))
        study.tell(study.ask(), [1.0 + value / 100])
    bases = set()
    for _ in range(40):
        trial = study.ask()
        values = list(trial.params.values())
        bases.add(max((0, 4, 9), key=values.count))
        study.tell(trial, [5.0])
    assert bases == {0, 4, 9}


def test_parameters_of_the_whole_network_come_first_by_default():
    distributions = {
        "conv/block": IntDistribution(0, 9),
        "network/strategy": IntDistribution(0, 9),
    }
    study = _start(LayerwiseSampler(seed=0), distributions)
    study.tell(study.ask(), [1.0])
    assert study.ask().params["network/strategy"] != 0


def test_nothing_is_proposed_twice_in_series_or_in_parallel():
    study = _start(LayerwiseSampler(seed=3), PROBLEM.distributions)
    study.tell(study.ask(), [1.0])
    running = [study.ask() for _ in range(8)]
    seen = [tuple(trial.params.values()) for trial in running]
    for step in range(300):
        done = running.pop(step * 5 % len(running))
        study.tell(done, [sum(PROBLEM.costs(done.params))])
        running.append(study.ask())
        seen.append(tuple(running[-1].params.values()))
    assert len(set(seen)) == len(seen)


def test_a_small_space_is_searched_to_the_end_and_then_repeats_itself():
    study = _start(LayerwiseSampler(seed=0))
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, [trial.params["a/x"]])
    assert len({tuple(t.params.values()) for t in study.study.trials}) == 6
    assert study.ask().params.keys() == TINY.keys()


def test_failed_trials_are_not_proposed_again_nor_does_the_search_stop():
    study = _start(LayerwiseSampler(seed=0), PROBLEM.distributions)
    for number in range(120):
        trial = study.ask()
        failed = number % 3 == 1
        study.tell(trial, None if failed else [sum(PROBLEM.costs(trial.params))])
    trials = study.study.trials
    assert sum(t.state == TrialState.FAIL for t in trials) == 40
    assert len({tuple(t.params.values()) for t in trials}) == 120


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 1.0])
def test_objectives_without_a_lesson_do_not_stop_the_search(value):
    study = _start(LayerwiseSampler(seed=0), PROBLEM.distributions)
    for _ in range(60):
        study.tell(study.ask(), None if value is None else [value])
    assert len(study.study.trials) == 60


def test_feasible_trials_are_built_upon_before_better_infeasible_ones():
    distributions = {f"l{n}/x": IntDistribution(0, 9) for n in range(4)}
    study = _start(LayerwiseSampler(seed=0), distributions)
    for _ in range(200):
        trial = study.ask()
        total = sum(trial.params.values())
        study.tell(trial, [-total], constraints={"sum": total - 20})
    feasible = [t for t in study.study.trials if t.constraints["sum"] <= 0]
    assert min(t.values[0] for t in feasible) == -20


def test_an_infeasible_start_is_led_to_feasible_trials():
    distributions = {f"l{n}/x": IntDistribution(0, 9) for n in range(4)}
    study = _start(LayerwiseSampler(seed=0), distributions)
    for _ in range(100):
        trial = study.ask()
        total = sum(trial.params.values())
        study.tell(trial, [total], constraints={"sum": 30 - total})
    assert min(t.constraints["sum"] for t in study.study.trials) <= 0


def test_maximising_is_minimising_the_negative():
    def best(direction, sign):
        study = _start(LayerwiseSampler(seed=0), PROBLEM.distributions, (direction,))
        for _ in range(60):
            trial = study.ask()
            study.tell(trial, [sign * sum(PROBLEM.costs(trial.params))])
        return _params(study.study.trials)

    assert best("minimize", 1) == best("maximize", -1)


def test_the_baseline_is_the_first_trial_where_nothing_is_enqueued():
    study = SearchStudy(
        LayerwiseSampler(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    assert study.ask().params == PROBLEM.default


def test_enqueued_starts_are_built_upon():
    start = PROBLEM.default | {f"layer{n}/cascade": 3 for n in range(6)}
    study = SearchStudy(LayerwiseSampler(seed=0), ["minimize"], PROBLEM.distributions)
    for params in (PROBLEM.default, start):
        study.enqueue(params)
        study.tell(study.ask(), [sum(PROBLEM.costs(params))])
    near = [study.ask().params for _ in range(5)]
    assert any(
        sum(p[n] != start[n] for n in p) < sum(p[n] != PROBLEM.default[n] for n in p) for p in near
    )


@pytest.mark.parametrize("scalarization", [(1.0, 0.0), (0.0, 1.0), lambda v: v[0] + 2 * v[1]])
def test_a_scalarization_says_what_is_best(scalarization):
    weigh = (
        scalarization
        if callable(scalarization)
        else lambda v: v[0] * scalarization[0] + v[1] * scalarization[1]
    )
    pareto = PROBLEM.search(LayerwiseSampler(seed=0), 250, objectives=2)
    aimed = PROBLEM.search(
        LayerwiseSampler(seed=0, scalarization=scalarization), 250, objectives=2
    )
    assert min(weigh(t.values) for t in aimed) <= min(weigh(t.values) for t in pareto) + 0.01


def test_without_a_scalarization_the_front_is_spread():
    trials = PROBLEM.search(LayerwiseSampler(seed=0), 250, objectives=2)
    fastest = min(trials, key=lambda t: t.values[0])
    smallest = min(trials, key=lambda t: t.values[1])
    assert fastest.values[0] < 0.97
    assert smallest.values[1] < 0.8
    assert smallest.values[0] > fastest.values[0]


def test_a_space_without_layers_is_sampled_at_random_with_one_warning():
    study = optuna.create_study(sampler=LayerwiseSampler(seed=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.optimize(lambda t: t.suggest_int("x", 0, 9) + t.suggest_float("y", 0, 1), n_trials=9)
    assert ["layer/parameter" in str(w.message) for w in caught].count(True) == 1
    assert len({trial.params["y"] for trial in study.trials}) == 9


def test_an_empty_space_is_no_problem():
    study = SearchStudy(LayerwiseSampler(seed=0), ["minimize"], {})
    for _ in range(3):
        assert study.tell(study.ask(), [1.0]).params == {}


def test_continuous_parameters_beside_layered_ones_are_sampled_at_random():
    study = optuna.create_study(sampler=LayerwiseSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("a/x", 0, 99) + t.suggest_float("y", 0, 1), n_trials=20)
    assert len({trial.params["y"] for trial in study.trials}) == 20
    assert len({trial.params["a/x"] for trial in study.trials}) == 20


def test_plain_optuna_storages_and_optimize_work_too(tmp_path):
    storage = f"sqlite:///{tmp_path / 'plain.db'}"

    def objective(trial):
        return sum(trial.suggest_int(f"l{n}/x", 0, 9) for n in range(3))

    for _ in range(2):
        study = optuna.create_study(
            storage=storage,
            study_name="s",
            load_if_exists=True,
            sampler=LayerwiseSampler(seed=0, baseline={f"l{n}/x": 5 for n in range(3)}),
        )
        study.optimize(objective, n_trials=15)
    assert study.trials[0].params == {f"l{n}/x": 5 for n in range(3)}
    assert study.best_value < 5


def test_it_can_be_sent_to_another_process():
    sent = pickle.loads(pickle.dumps(LayerwiseSampler(seed=4)))  # noqa: S301 - our own
    study = _start(sent, PROBLEM.distributions)
    study.tell(study.ask(), [1.0])
    again = _start(LayerwiseSampler(seed=4), PROBLEM.distributions)
    again.tell(again.ask(), [1.0])
    assert study.ask().params == again.ask().params


@pytest.mark.parametrize("name", ["beam_width", "candidates_per_layer", "sweeps"])
def test_a_count_below_one_is_refused_by_name(name):
    with pytest.raises(ValueError, match=name):
        LayerwiseSampler(**{name: 0})


def test_it_beats_random_search_and_nsga2_at_equal_budgets():
    def median(make):
        return statistics.median(
            LayeredProblem(layers=16, seed=seed).best(make(seed), 250) for seed in range(3)
        )

    layerwise = median(lambda seed: LayerwiseSampler(seed=seed))
    assert layerwise < median(lambda seed: optuna.samplers.NSGAIISampler(seed=seed)) - 0.02
    assert layerwise < median(lambda seed: optuna.samplers.RandomSampler(seed=seed)) - 0.05


def test_trials_that_start_beside_the_baseline_are_its_neighbours():
    study = SearchStudy(
        LayerwiseSampler(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    first, *others = [study.ask().params for _ in range(8)]
    assert first == PROBLEM.default
    changed = [[n for n, value in params.items() if value != first[n]] for params in others]
    assert all(len(names) == 1 for names in changed)
    assert len({names[0] for names in changed}) == len(others)


def test_threads_of_plain_optuna_run_the_baseline_once():
    baseline = {f"l{n}/x": 5 for n in range(6)}
    together = threading.Barrier(2, timeout=60)

    def objective(trial):
        values = [trial.suggest_int(name, 0, 9) for name in baseline]
        if trial.number < 2:
            together.wait()
        return sum(values)

    study = optuna.create_study(sampler=LayerwiseSampler(seed=0, baseline=baseline))
    study.optimize(objective, n_trials=6, n_jobs=2)
    assert [trial.params for trial in study.trials].count(baseline) == 1


def test_a_baseline_that_failed_is_not_proposed_again():
    study = SearchStudy(
        LayerwiseSampler(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    study.tell(study.ask(), None)
    assert study.ask().params != PROBLEM.default


def test_an_unrelated_running_trial_does_not_keep_the_baseline_from_being_run():
    study = SearchStudy(
        LayerwiseSampler(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    study.enqueue(PROBLEM.default | {"layer0/cascade": 3})
    assert study.ask().params != PROBLEM.default
    assert study.ask().params == PROBLEM.default


@pytest.mark.parametrize(
    "options",
    [
        {"beam_width": 2.5},
        {"sweeps": "x"},
        {"scalarization": "x"},
        {"layer_order": "conv"},
        {"profile_key": 3},
    ],
    ids=str,
)
def test_an_option_of_the_wrong_type_is_refused_at_once(options):
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        LayerwiseSampler(**options)
