from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.network.quantize.noise import MOST_DB, Noise

AMPLITUDES = st.floats(1e-3, 1e3)


@given(error=st.floats(1e-4, 1e2), scale=AMPLITUDES, seed=st.integers(0, 99))
def test_decibels_are_those_of_the_ratio_of_amplitudes_whatever_their_scale(error, scale, seed):
    signal = np.random.default_rng(seed).choice([-1.0, 1.0], 50) * scale
    noise = Noise.of(signal, signal * (1.0 + error))
    assert noise.decibels == pytest.approx(-20.0 * np.log10(error), abs=1e-6)


@given(parts=st.lists(st.integers(0, 50), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_runs_add_up_to_what_all_their_values_have(parts, seed):
    generator = np.random.default_rng(seed)
    wanted = [generator.normal(size=count) for count in parts]
    have = [value + generator.normal(0.0, 0.1, value.size) for value in wanted]
    total = sum(map(Noise.of, wanted, have), Noise())
    whole = Noise.of(np.concatenate(wanted), np.concatenate(have))
    assert total.decibels == pytest.approx(whole.decibels)


@pytest.mark.parametrize(
    ("wanted", "have", "decibels"),
    [
        ([1.0, 2.0], [1.0, 2.0], MOST_DB),
        ([0.0, 0.0], [0.0, 0.0], MOST_DB),
        ([], [], MOST_DB),
        ([0.0, 0.0], [0.0, 1e-9], -MOST_DB),
        ([1.0, np.inf], [1.0, 1.0], -MOST_DB),
        ([1.0, 1.0], [1.0, np.nan], -MOST_DB),
        ([1.0, 1.0], [1.0], -MOST_DB),
        ([1e-30], [1e30], -MOST_DB),
    ],
)
def test_the_ends_of_the_scale(wanted, have, decibels):
    noise = Noise.of(np.asarray(wanted), np.asarray(have))
    assert noise.decibels == decibels
    assert 0.0 <= noise.share <= 1.0


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_of_integers_and_truth_values_the_share_that_differs_counts(dtype):
    wanted = np.zeros(100, dtype)
    have = wanted.astype(np.float64)
    have[7] = 1.0
    assert Noise.of(wanted, have).decibels == pytest.approx(20.0)


def test_nothing_of_the_signal_is_left_at_0_db_and_below():
    assert Noise(1.0, 0.25).share == pytest.approx(0.25)
    assert Noise(1.0, 1.0).share == pytest.approx(1.0)
    assert Noise(1.0, 50.0).share == 1.0
