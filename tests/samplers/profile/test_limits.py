from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import RandomSampler
from recorded_cpu import RecordedCpu

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.profile.limits import ColumnLimit, explain_limits, least_multiplier
from npu_tune.samplers.profile.profiles import SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate
from npu_tune.tuning.samplers import SamplerContext, make_sampler


def _profiles(floor_db):
    problem = RecordedCpu("squeezenet", floor_db)
    sampler = make_sampler("random", context=SamplerContext(0))
    trials = problem.search(sampler, 40)
    history = History(LayeredSpace.of(problem.distributions, None), [1])
    history.read(trials, trials, settled=len(trials))
    profiles = Profiles(history.space, "profile", cost_column="ms")
    profiles.read(history, trials)
    return profiles


def _read(noise, constraints):
    """Profiles of one layer with these totals of one column."""
    distributions = {"a/x": IntDistribution(0, 999)}
    study = SearchStudy(RandomSampler(seed=0), ["minimize"], distributions)
    for number, (total, constraint) in enumerate(zip(noise, constraints, strict=True)):
        study.enqueue({"a/x": number})
        profile = {"a": {"noise": float(total)}}
        told = {"constraints": {"snr_db": constraint}, "user_attrs": {"profile": profile}}
        study.tell(study.ask(), [1.0], **told)
    history = History(LayeredSpace.of(distributions, None), [1])
    trials = study.study.get_trials(deepcopy=False)
    history.read(trials, trials, settled=len(trials))
    profiles = Profiles(history.space, "profile", cost_column="noise")
    profiles.read(history, trials)
    return profiles


def test_the_signal_to_noise_is_explained_by_the_sum_of_the_noise():
    profiles = _profiles(32.0)
    (limit,) = explain_limits(profiles)
    assert profiles.columns[limit.aggregate.column] == "noise"
    assert limit.aggregate.kind == SUM
    assert limit.is_logarithmic
    assert limit.most == pytest.approx(10**-3.2, rel=0.1)


def test_a_limit_that_nothing_violates_is_none():
    assert explain_limits(_profiles(5.0)) == ()


def test_caution_stays_below_the_limit():
    limit = ColumnLimit(Aggregate(0, SUM), 10.0, 0.1, True, 1.0, "snr_db")
    assert limit.budget(0.0) == 10.0
    assert limit.budget(1.0) == pytest.approx(9.05, abs=0.01)
    assert replace(limit, scatter=2.0, is_logarithmic=False).budget(1.0) == 8.0


@pytest.mark.parametrize(("is_logarithmic", "beyond"), [(True, 10.0 * np.e), (False, 11.0)])
def test_a_constraint_stands_for_a_total(is_logarithmic, beyond):
    limit = ColumnLimit(Aggregate(0, SUM), 10.0, 0.1, is_logarithmic, 0.5, "snr_db")
    assert limit.totals_at(np.array([0.0, 0.5])) == pytest.approx([10.0, beyond])


def test_trials_that_came_close_to_a_limit_do_not_hide_how_it_depends_on_the_total():
    random = np.random.default_rng(0)
    spread = 10 ** random.uniform(-4.0, -2.0, 40)
    # The less a search allows for, the more its finds miss what is predicted of them.
    near = 10**-3.0 * np.exp(random.normal(0.0, 0.3, 60))
    decibels = np.concatenate([-10 * np.log10(spread), random.normal(30.0, 0.5, 60)])
    noise = np.concatenate([spread, near])
    (limit,) = explain_limits(_read(noise, (30.0 - decibels) / 30.0))
    assert limit.budget(0.0) == pytest.approx(1e-3, rel=0.3)
    assert 0.5e-3 < limit.budget(1.0) < 1e-3


def test_the_least_multiplier_is_bracketed():
    low, high = least_multiplier(lambda multiplier: multiplier >= 3.0, 0.01)
    assert low < 3.0 <= high
    assert high - low < 0.001
