from __future__ import annotations

import numpy as np
from chained_trials import SPACE, chained_trial, learnt, trials_of_any_kind
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.samplers import LayerProfileSettings
from npu_tune.samplers.profile.variation import Variation

SETTINGS = LayerProfileSettings()


@given(trials=trials_of_any_kind(), share=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_variation_is_a_point_of_the_space(trials, share, seed):
    profiles, segments = learnt(trials)
    random = np.random.default_rng(seed)
    start = profiles.points[0]
    varied = Variation(SPACE, profiles.layers, segments, random, start, SETTINGS).vary(
        profiles.runs[0], share
    )
    for choice, sizes in zip(varied, SPACE.sizes, strict=True):
        assert all(0 <= index < size for index, size in zip(choice, sizes, strict=True))
    if share == 0:
        assert varied == start


def test_neighbouring_runs_are_joined_by_what_joins_layers():
    trials = [
        chained_trial(
            number, (number % 2 == 0, False, False, False), (number % 4,) * 4, (1,) * 4, (1,) * 4
        )
        for number in range(8)
    ]
    profiles, segments = learnt(trials)
    start = profiles.points[1]
    variations = [
        Variation(SPACE, profiles.layers, segments, np.random.default_rng(seed), start, SETTINGS)
        for seed in range(40)
    ]
    varied = [variation.vary(profiles.runs[1], 1.0) for variation in variations]
    joined = [point for point in varied if point[0][0] == 1 and point[2][0] == 1]
    assert joined, "two pairs of single layers are never joined in one variation"
