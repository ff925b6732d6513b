"""Evaluations that differ from trial to trial, and points that are evaluated again."""

from __future__ import annotations

import numpy as np
import pytest
from chained_trials import LAYERS, chained_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_problem import LayeredProblem, quiet
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from our_samplers import SAMPLERS

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import AnnealingSettings, LayerProfileSettings
from npu_tune.samplers.chains import Chains
from npu_tune.samplers.cooling import Cooling
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.profile.encoding import Encoding
from npu_tune.samplers.profile.profiles import SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate
from npu_tune.samplers.profile.surrogate import Surrogate
from npu_tune.samplers.ranking import view

PROBLEM = LayeredProblem(layers=6)
NOISY = {name: SAMPLERS[name] for name in ("layerwise", "profile", "annealing")}
TINY = {"a/x": IntDistribution(0, 3), "b/x": IntDistribution(0, 3)}
SPACE = LayeredSpace.of(TINY, None)

noisy = pytest.mark.parametrize("make", NOISY.values(), ids=NOISY)


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def finished(number, x, value, **attributes):
    trial = create_trial(
        state=TrialState.COMPLETE if value is not None else TrialState.FAIL,
        value=value,
        params={"a/x": x, "b/x": 0},
        distributions=TINY,
        user_attrs=attributes,
    )
    trial.number = number
    return trial


def history_of(trials, *, is_noisy=True):
    history = History(SPACE, [StudyDirection.MINIMIZE], is_noisy=is_noisy)
    history.read(trials, trials, settled=len(trials))
    return history


def best(trials, *, is_noisy=True):
    history = history_of(trials, is_noisy=is_noisy)
    seen = view(history, width=1, scalarization=None, turn=0)
    return history.points[seen.beam[0]][0][0]


LUCKY = [finished(0, 0, 10.0), finished(1, 1, 8.0), finished(2, 2, 7.0), finished(3, 2, 11.0)]


def test_the_best_point_is_the_one_with_the_best_mean():
    assert best(LUCKY) == 1
    assert best(LUCKY, is_noisy=False) == 2


def test_an_answer_taken_from_another_trial_is_no_measurement():
    again = [finished(number, 2, 7.0, duplicate_of=2) for number in range(4, 9)]
    assert best([*LUCKY, *again]) == 1


def test_a_failure_of_a_point_that_completed_otherwise_leaves_the_mean():
    history = history_of([*LUCKY, finished(4, 1, None)])
    assert history.mean_values[[1, 4], 0].tolist() == [8.0, 8.0]
    assert np.isnan(history.values[4, 0])


def test_the_mean_does_not_depend_on_the_order_of_reading():
    trials = [finished(number, 1, 0.1 * (number + 1) ** 3) for number in range(9)]
    forth, back = history_of(trials), History(SPACE, [StudyDirection.MINIMIZE], is_noisy=True)
    for trial in reversed(trials):
        back._add(trial)
    assert forth.mean_values[0] == back.mean_values[0]


def test_repeats_are_no_tries_of_a_layer():
    assert history_of(LUCKY).tried(0) == 2
    assert history_of(LUCKY).tried(1) == 0
    assert history_of(LUCKY, is_noisy=False).tried(1) == 1


def chain_after(trials, noise):
    cooling = Cooling("geometric", 0.0, None, 0.15, 1000, 0, AnnealingSettings())
    chains = Chains(
        count=1, cooling=cooling, objectives=1, scalarization=None, noise=noise, seed=0
    )
    return chains.point(history_of(trials, is_noisy=noise > 0), len(trials))[0][0]


def test_a_cold_chain_goes_to_what_is_worse_within_the_noise_only():
    trials = [finished(0, 0, 10.0), finished(1, 1, 10.2)]
    assert chain_after(trials, 0.0) == 0
    assert chain_after(trials, 0.01) == 0
    assert chain_after(trials, 0.03) == 1


def test_a_chain_leaves_its_place_for_a_better_one_once_the_place_is_measured_again():
    trials = [finished(0, 0, 5.0), finished(1, 1, 8.0), finished(2, 0, 15.0), finished(3, 1, 8.0)]
    assert chain_after(trials[:3], 0.01) == 0
    assert chain_after(trials, 0.01) == 1
    assert chain_after(trials, 0.0) == 0


def learnt_costs(values, *, noise):
    """Profiles of repeats of one point, and what the surrogate predicts for its first layer."""
    trials = [
        chained_trial(n, (False,) * 4, (n % 2,) * 4, (value,) * 4, (1.0,) * 4)
        for n, value in enumerate(values)
    ]
    space = LayeredSpace.of(trials[0].distributions, None)
    history = History(space, [StudyDirection.MINIMIZE], is_noisy=noise > 0)
    history.read(trials, trials, settled=len(trials))
    profiles = Profiles(space, "profile", is_noisy=noise > 0)
    profiles.read(history, trials)
    encoding = Encoding(profiles.slots, 12)
    model = Surrogate(profiles, Aggregate(0, SUM), encoding, LayerProfileSettings(), noise)
    mean, deviation = model.predict(0, profiles.contexts(0, [0]))
    return profiles, float(np.expm1(mean[0])), float(deviation[0])


def test_the_surrogate_meets_exact_costs_and_smooths_noisy_ones():
    values = (100.0, 300.0)
    _, exact, certain = learnt_costs(values, noise=0.0)
    _, smoothed, uncertain = learnt_costs(values, noise=0.3)
    assert exact == pytest.approx(100.0, rel=1e-3)
    assert 101.0 < smoothed < 300.0
    assert uncertain > certain


def test_costs_in_the_same_context_are_averaged_up_to_a_trial():
    profiles, _, _ = learnt_costs((100.0, 300.0, 120.0, 300.0, 140.0), noise=0.1)
    assert len(profiles.layers) == len(LAYERS)
    assert profiles.mean_costs(0, 0, SUM, [0], 3).tolist() == [110.0]
    assert profiles.mean_costs(0, 0, SUM, [0], 5).tolist() == [120.0]


def noisy_search(sampler, budget, *, noise=0.02, trials=()):
    """A study whose values and profiles scatter, every fifth trial a repeat of an earlier one."""
    study = SearchStudy(sampler, ["minimize"], PROBLEM.distributions)
    study.add(trials)
    while (number := len(study.study.trials)) < budget:
        earlier = study.study.get_trials(deepcopy=False)
        if number == 0:
            study.enqueue(PROBLEM.default)
        elif number % 5 == 4:
            study.enqueue(earlier[number // 2].params)
        trial = study.ask()
        factor = 1 + noise * np.random.default_rng(trial.number).standard_normal()
        rows = PROBLEM.profile(trial.params)
        profile = {name: {c: v * factor for c, v in row.items()} for name, row in rows.items()}
        study.tell(
            trial, [sum(PROBLEM.costs(trial.params)) * factor], user_attrs={"profile": profile}
        )
    return study.study.get_trials(deepcopy=False)


@noisy
@given(cut=st.integers(2, 39))
@settings(max_examples=2, deadline=None)
def test_an_interrupted_noisy_search_goes_on_as_if_uninterrupted(make, cut):
    whole = noisy_search(make(seed=1, noise=0.02), 40)
    resumed = noisy_search(make(seed=1, noise=0.02), 40, trials=tuple(whole[:cut]))
    assert [t.params for t in resumed] == [t.params for t in whole]


@noisy
def test_a_noisy_search_still_finds_better_points(make):
    trials = noisy_search(make(seed=0, noise=0.02), 80)
    assert min(sum(PROBLEM.costs(trial.params)) for trial in trials) < 1.9


@noisy
def test_noise_out_of_range_is_refused(make):
    with pytest.raises(ValueError, match="noise"):
        make(noise=-0.1)
