from __future__ import annotations

import math
import pickle
import statistics
import warnings
from collections import Counter, deque
from dataclasses import replace

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_problem import LayeredProblem, quiet
from optuna.distributions import CategoricalDistribution, IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import LayerProfileSampler, LayerwiseSampler
from npu_tune.samplers.profile.compose import Composer
from npu_tune.samplers.profile.settings import LayerProfileSettings

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


def _search(sampler, budget, *, problem=PROBLEM, objectives=1, trials=(), profile=True):
    """A study in series with the problem's profiles, the default first."""
    study = SearchStudy(sampler, ["minimize"] * objectives, problem.distributions)
    study.add(trials)
    if not trials:
        study.enqueue(problem.default)
    for _ in range(budget - len(trials)):
        trial = study.ask()
        costs = problem.costs(trial.params)
        told = costs if objectives == 2 else [sum(costs) / 2]
        attributes = {"profile": problem.profile(trial.params)} if profile else {}
        study.tell(trial, told, user_attrs=attributes)
    return study.study.get_trials(deepcopy=False)


def _best(trials):
    return min(trial.values[0] for trial in trials)


def _params(trials):
    return [trial.params for trial in trials]


@given(cut=st.integers(1, 29), seed=st.integers(0, 3), objectives=st.sampled_from((1, 2)))
@settings(max_examples=3, deadline=None)
def test_an_interrupted_search_goes_on_as_if_uninterrupted(cut, seed, objectives):
    whole = _search(LayerProfileSampler(seed=seed), 30, objectives=objectives)
    resumed = _search(
        LayerProfileSampler(seed=seed), 30, objectives=objectives, trials=tuple(whole[:cut])
    )
    assert _params(resumed) == _params(whole)


MANY = replace(LayerProfileSettings(), composed_running=5, refit_share=0.2)


@pytest.mark.parametrize(
    "make", [LayerwiseSampler, lambda **o: LayerProfileSampler(settings=MANY, **o)]
)
def test_with_many_under_way_an_interrupted_search_goes_on_as_if_uninterrupted(make):
    def proposed(cut):
        study = SearchStudy(make(seed=1), ["minimize"], PROBLEM.distributions)
        study.enqueue(PROBLEM.default)
        running = deque(study.ask() for _ in range(25))
        for number in range(30):
            if number == cut:
                study.study.sampler = make(seed=1)
            trial = running.popleft()
            profile = {"profile": PROBLEM.profile(trial.params)}
            study.tell(trial, [sum(PROBLEM.costs(trial.params)) / 2], user_attrs=profile)
            running.append(study.ask())
        return _params(study.study.get_trials(deepcopy=False))

    assert proposed(17) == proposed(None)


def test_with_many_under_way_fewer_proposals_are_composed(monkeypatch):
    composed = Counter()
    compose = Composer.compose

    def counted(*args):
        composed[under_way] += 1
        return compose(*args)

    monkeypatch.setattr(Composer, "compose", counted)
    for under_way in (1, 40):
        study = SearchStudy(
            LayerProfileSampler(seed=1, settings=MANY), ["minimize"], PROBLEM.distributions
        )
        study.enqueue(PROBLEM.default)
        running = deque(study.ask() for _ in range(under_way))
        for _ in range(60):
            trial = running.popleft()
            profile = {"profile": PROBLEM.profile(trial.params)}
            study.tell(trial, [sum(PROBLEM.costs(trial.params)) / 2], user_attrs=profile)
            running.append(study.ask())
    assert 0 < composed[40] < composed[1] / 2


def test_another_seed_gives_another_search():
    one, other = (_search(LayerProfileSampler(seed=s), 20) for s in (1, 2))
    assert _params(one) != _params(other)


def test_profiles_let_it_find_more_than_others_do():
    def mean(make, budget):
        return statistics.mean(
            _best(_search(make(seed), budget, problem=LayeredProblem(layers=16, seed=seed)))
            for seed in range(3)
        )

    ours = mean(lambda seed: LayerProfileSampler(seed=seed), 40)
    assert ours < mean(lambda seed: LayerwiseSampler(seed=seed), 40) - 0.02
    assert ours < mean(lambda seed: optuna.samplers.NSGAIISampler(seed=seed), 200) - 0.01


def test_without_profiles_it_learns_from_totals():
    found = _best(_search(LayerProfileSampler(seed=0), 150, profile=False))
    drawn = _best(_search(optuna.samplers.RandomSampler(seed=0), 150, profile=False))
    assert found < drawn - 0.02


def test_nothing_is_proposed_twice_in_series_or_in_parallel():
    study = SearchStudy(LayerProfileSampler(seed=3), ["minimize"], PROBLEM.distributions)
    study.enqueue(PROBLEM.default)
    study.tell(study.ask(), [1.0], user_attrs={"profile": PROBLEM.profile(PROBLEM.default)})
    running = [study.ask() for _ in range(8)]
    seen = [tuple(trial.params.values()) for trial in running]
    for step in range(80):
        done = running.pop(step * 5 % len(running))
        study.tell(
            done,
            [sum(PROBLEM.costs(done.params))],
            user_attrs={"profile": PROBLEM.profile(done.params)},
        )
        running.append(study.ask())
        seen.append(tuple(running[-1].params.values()))
    assert len(set(seen)) == len(seen)


FIGURES = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 3), st.just("text")
)
PROFILES = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(("a", "b", "c", "elsewhere")),
        st.dictionaries(st.sampled_from(("cycles", "live_bytes", "epoch")), FIGURES, max_size=3),
        max_size=4,
    ),
    st.just({"columns": ["cycles"], "rows": {"a": [1.0], "b": [None]}}),
    st.just({"columns": ["cycles"]}),
)
VALUES = st.one_of(
    st.none(),
    st.just(1.0),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from((math.nan, math.inf, 1e-293, -1e300)),
)


@given(seed=st.integers(0, 5), told=st.lists(st.tuples(VALUES, PROFILES), max_size=16))
@settings(max_examples=40, deadline=None)
def test_whatever_trials_say_there_is_a_next_one(seed, told):
    study = SearchStudy(LayerProfileSampler(seed=seed), ["minimize"], TINY)
    for value, profile in told:
        trial = study.ask()
        study.tell(
            trial,
            None if value is None else [value],
            user_attrs={} if profile is None else {"profile": profile},
        )
    assert study.ask().params.keys() == TINY.keys()


def test_a_small_space_is_searched_to_the_end_and_then_repeats_itself():
    study = SearchStudy(LayerProfileSampler(seed=0), ["minimize"], TINY)
    for _ in range(8):
        trial = study.ask()
        profile = {"a": {"cycles": 1.0 + trial.params["a/x"]}, "b": {"cycles": 1.0}}
        study.tell(trial, [trial.params["a/x"]], user_attrs={"profile": profile})
    assert len({tuple(t.params.values()) for t in study.study.trials}) == 6


def test_the_baseline_is_the_first_trial_where_nothing_is_enqueued():
    study = SearchStudy(
        LayerProfileSampler(seed=0, baseline=PROBLEM.default), ["minimize"], PROBLEM.distributions
    )
    assert study.ask().params == PROBLEM.default


def test_without_a_scalarization_the_front_is_spread():
    trials = _search(LayerProfileSampler(seed=0), 120, objectives=2)
    fastest = min(trials, key=lambda t: t.values[0])
    smallest = min(trials, key=lambda t: t.values[1])
    assert fastest.values[0] < 0.97
    assert smallest.values[1] < 0.8
    assert smallest.values[0] > fastest.values[0]


def test_a_space_without_layers_is_sampled_at_random_with_one_warning():
    study = optuna.create_study(sampler=LayerProfileSampler(seed=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.optimize(lambda t: t.suggest_int("x", 0, 9) + t.suggest_float("y", 0, 1), n_trials=9)
    assert ["LayerProfileSampler" in str(w.message) for w in caught].count(True) == 1


def test_it_can_be_sent_to_another_process():
    sent = pickle.loads(pickle.dumps(LayerProfileSampler(seed=4)))  # noqa: S301 - our own
    assert _params(_search(sent, 15)) == _params(_search(LayerProfileSampler(seed=4), 15))


@pytest.mark.parametrize(
    "options",
    [{"beam_width": 0}, {"first_trials": -1}, {"first_share": 1.5}, {"profile_key": 3}],
    ids=str,
)
def test_an_option_out_of_range_is_refused_by_name(options):
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        LayerProfileSampler(**options)
