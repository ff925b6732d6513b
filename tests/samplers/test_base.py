"""What holds for every sampler of layered spaces."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_problem import LayeredProblem, quiet
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from our_samplers import SAMPLERS

from npu_tune._optuna_compat import SearchStudy

PROBLEM = LayeredProblem(layers=6)
RIVALS = {name: SAMPLERS[name] for name in ("annealing", "qlearning")}
TINY = {
    "a/x": IntDistribution(0, 2),
    "a/one": CategoricalDistribution(("only",)),
    "b/y": CategoricalDistribution(("p", "q")),
    "c/one": IntDistribution(5, 5),
}

every = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
rivals = pytest.mark.parametrize("make", RIVALS.values(), ids=RIVALS)


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def _params(trials):
    return [trial.params for trial in trials]


def _study(sampler, distributions=PROBLEM.distributions, directions=("minimize",)):
    return SearchStudy(sampler, directions, distributions)


def _cost(trial):
    return sum(PROBLEM.costs(trial.params))


@every
@given(cut=st.integers(1, 39), objectives=st.sampled_from((1, 2)))
@settings(max_examples=3, deadline=None)
def test_an_interrupted_search_goes_on_as_if_uninterrupted(make, cut, objectives):
    options = {"objectives": objectives, "profiles": True}
    whole = PROBLEM.search(make(seed=1), 40, **options)
    resumed = PROBLEM.search(make(seed=1), 40, trials=tuple(whole[:cut]), **options)
    assert _params(resumed) == _params(whole)


@rivals
def test_what_is_proposed_does_not_depend_on_the_order_in_which_trials_finished(make):
    def proposals(order):
        study = _study(make(seed=2, baseline=PROBLEM.default))
        study.tell(study.ask(), [1.0])
        running = [study.ask() for _ in range(12)]
        for index in order:
            study.tell(running[index], [_cost(running[index])])
            make_again = study.study.sampler
            make_again.infer_relative_search_space(study.study, running[index])
        return [study.ask().params for _ in range(6)]

    assert proposals(range(12)) == proposals(np.random.default_rng(0).permutation(12))


@rivals
def test_trials_seen_on_the_way_leave_no_trace(make):
    def proposal(look):
        study = _study(make(seed=2, baseline=PROBLEM.default))
        study.tell(study.ask(), [1.0])
        running = [study.ask() for _ in range(8)]
        for index in (5, 1, 7, 0, 2, 6, 3, 4):
            study.tell(running[index], [_cost(running[index])])
            if look:
                trial = study.study.ask()
                study.study.sampler.sample_relative(
                    study.study,
                    study.study.get_trials(deepcopy=False)[trial.number],
                    PROBLEM.distributions,
                )
                study.study.tell(trial, state=TrialState.FAIL)
        number = 20
        while (trial := study.study.ask()).number < number:
            study.study.tell(trial, state=TrialState.FAIL)
        frozen = study.study.get_trials(deepcopy=False)[number]
        return study.study.sampler.sample_relative(study.study, frozen, PROBLEM.distributions)

    assert proposal(look=True) == proposal(look=False)


@every
def test_another_seed_gives_another_search(make):
    one, other = (PROBLEM.search(make(seed=seed), 15, profiles=True) for seed in (1, 2))
    assert _params(one) != _params(other)


@every
def test_the_baseline_is_the_first_trial(make):
    assert _study(make(seed=0, baseline=PROBLEM.default)).ask().params == PROBLEM.default


@every
def test_nothing_is_proposed_twice(make):
    trials = PROBLEM.search(make(seed=3), 60, profiles=True)
    assert len({tuple(trial.params.values()) for trial in trials}) == 60


@every
def test_what_was_refused_is_not_proposed_again(make):
    study = _study(make(seed=3, baseline=PROBLEM.default))
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, [_cost(trial)])
    proposed = []
    for number in (12, 13):
        for _ in range(4):
            proposed.append(study.ask_as(number))
            assert study.refuse(proposed[-1])
    assert (
        len({tuple(trial.params.values()) for trial in [*study.study.trials[:12], *proposed]})
        == 20
    )


@every
def test_a_small_space_is_searched_to_the_end_and_then_repeats_itself(make):
    study = _study(make(seed=0), TINY)
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, [trial.params["a/x"]])
    assert len({tuple(trial.params.values()) for trial in study.study.trials}) == 6


@every
@given(
    values=st.lists(
        st.sampled_from((None, 0.0, 1.0, -1.0, 1e300, float("nan"), float("inf"))),
        min_size=12,
        max_size=12,
    ),
    violation=st.sampled_from((-1.0, 0.0, 3.0)),
)
@settings(max_examples=10, deadline=None)
@pytest.mark.filterwarnings("error")
def test_objectives_without_a_lesson_do_not_stop_the_search(make, values, violation):
    study = _study(make(seed=0, baseline=PROBLEM.default))
    for value in values:
        told = None if value is None else [value]
        study.tell(study.ask(), told, constraints={"limit": violation})
    assert study.ask().params.keys() == PROBLEM.distributions.keys()


@every
@pytest.mark.parametrize(
    "profile",
    [
        {},
        "none",
        {"columns": ["cycles"], "rows": {}},
        {"columns": ["cycles"], "rows": {"layer0": [0.0], "other": [None]}},
        {"layer0": {"cycles": float("nan")}},
    ],
    ids=str,
)
def test_profiles_without_a_lesson_do_not_stop_the_search(make, profile):
    study = _study(make(seed=0, baseline=PROBLEM.default))
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, [_cost(trial)], user_attrs={"profile": profile})
    assert study.ask().params.keys() == PROBLEM.distributions.keys()


@every
def test_layers_with_one_choice_each_are_no_problem(make):
    study = _study(make(seed=0), {f"l{n}/x": IntDistribution(1, 1) for n in range(3)})
    for _ in range(4):
        study.tell(study.ask(), [1.0])
    assert _params(study.study.trials) == [{f"l{n}/x": 1 for n in range(3)}] * 4


@every
def test_an_empty_space_is_no_problem(make):
    study = _study(make(seed=0), {})
    assert [study.tell(study.ask(), [1.0]).params for _ in range(3)] == [{}] * 3


@every
def test_a_space_without_layers_is_sampled_at_random_with_one_warning(make):
    study = optuna.create_study(sampler=make(seed=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.optimize(lambda t: t.suggest_int("x", 0, 9) + t.suggest_float("y", 0, 1), n_trials=9)
    assert [make.__name__ in str(w.message) for w in caught].count(True) == 1
    assert len({trial.params["y"] for trial in study.trials}) == 9


@rivals
def test_feasible_trials_are_found_and_built_upon(make):
    distributions = {f"l{n}/x": IntDistribution(0, 9) for n in range(4)}
    study = _study(make(seed=0, evaluations=200), distributions)
    study.enqueue(dict.fromkeys(distributions, 0))
    for _ in range(200):
        trial = study.ask()
        total = sum(trial.params.values())
        study.tell(trial, [total], constraints={"sum": (20 - total) / 20})
    feasible = [t.values[0] for t in study.study.trials if t.constraints["sum"] <= 0]
    assert min(feasible) <= 21


@rivals
def test_maximising_is_minimising_the_negative(make):
    def search(direction, sign):
        study = _study(make(seed=0, baseline=PROBLEM.default), directions=(direction,))
        for _ in range(40):
            trial = study.ask()
            study.tell(trial, [sign * _cost(trial)])
        return _params(study.study.trials)

    assert search("minimize", 1) == search("maximize", -1)


@rivals
@pytest.mark.parametrize("scalarization", [(1.0, 0.0), (0.0, 1.0), lambda v: v[0] + 2 * v[1]])
def test_a_scalarization_says_what_is_best(make, scalarization):
    weigh = (
        scalarization
        if callable(scalarization)
        else lambda v: v[0] * scalarization[0] + v[1] * scalarization[1]
    )
    options = {"objectives": 2, "profiles": True}
    aimed = PROBLEM.search(
        make(seed=0, scalarization=scalarization, evaluations=250), 250, **options
    )
    usual = PROBLEM.search(optuna.samplers.RandomSampler(seed=0), 250, **options)
    assert min(weigh(t.values) for t in aimed) <= min(weigh(t.values) for t in usual)


@every
def test_a_scalarization_of_the_wrong_length_is_refused_at_the_first_trial(make):
    study = _study(make(seed=0, scalarization=(1.0, 1.0, 1.0)), directions=("minimize",) * 2)
    with pytest.raises(ValueError, match=r"one weight per objective, but it has 3 for 2"):
        study.ask()


@every
def test_an_order_of_unknown_layers_is_refused_once_the_space_is_known(make):
    study = _study(make(seed=0, layer_order=("layer1", "layr2"), baseline=PROBLEM.default))
    study.tell(study.ask(), [1.0])
    with pytest.raises(
        ValueError, match=r"'layr2', which is no layer of the space \(did you mean 'layer2'"
    ):
        study.ask()


@every
def test_a_sampler_can_be_sent_to_another_process_in_the_middle_of_a_search(make):
    study = _study(make(seed=4, baseline=PROBLEM.default))
    for _ in range(5):
        trial = study.ask()
        study.tell(trial, [_cost(trial)])
    sent = pickle.loads(pickle.dumps(study.study.sampler))  # noqa: S301 - our own
    again = _study(sent)
    again.add(study.study.get_trials(deepcopy=False))
    assert again.ask().params == study.ask().params


@rivals
@pytest.mark.parametrize(
    "option",
    [
        {"evaluations": 0},
        {"scalarization": "x"},
        {"layer_order": "conv"},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_by_name(make, option):
    with pytest.raises((TypeError, ValueError), match=next(iter(option))):
        make(**option)
