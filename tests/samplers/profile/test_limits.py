from __future__ import annotations

import pytest
from recorded_cpu import RecordedCpu

from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.profile.limits import ColumnLimit, explain_limits, least_multiplier
from npu_tune.samplers.profile.profiles import SUM, Profiles
from npu_tune.samplers.profile.surrogate import Aggregate
from npu_tune.tuning.samplers import SamplerContext, make_sampler


def _profiles(floor_db):
    problem = RecordedCpu("squeezenet", floor_db)
    sampler = make_sampler("random", context=SamplerContext(0))
    trials = problem.search(sampler, 40)
    history = History(LayeredSpace.of(problem.distributions, None), [1])
    assert history.read(trials)
    profiles = Profiles(history.space, "profile", cost_column="ms")
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
    limit = ColumnLimit(Aggregate(0, SUM), 10.0, 0.1, is_logarithmic=True)
    assert limit.budget(0.0) == 10.0
    assert limit.budget(1.0) == pytest.approx(9.05, abs=0.01)
    assert ColumnLimit(Aggregate(0, SUM), 10.0, 2.0, is_logarithmic=False).budget(1.0) == 8.0


def test_the_least_multiplier_is_bracketed():
    low, high = least_multiplier(lambda multiplier: multiplier >= 3.0, 0.01)
    assert low < 3.0 <= high
    assert high - low < 0.001
