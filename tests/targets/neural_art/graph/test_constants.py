from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.neural_art.graph import constants
from npu_tune.targets.neural_art.graph.constants import entropy_bits


def test_equal_weights_hold_no_information() -> None:
    assert entropy_bits(np.full((8, 4, 3, 3), 0.3, np.float32), channel_axis=0) == 0
    assert entropy_bits(np.broadcast_to(np.float32(2), (9, 9)), channel_axis=0) == 0


def test_integers_are_counted_as_they_are() -> None:
    every = np.arange(-128, 128).astype(np.int8).reshape(16, 16)
    assert entropy_bits(every, channel_axis=0) == 8
    two = np.asarray([[1, 1, 2, 2]], np.int8)
    assert entropy_bits(two, channel_axis=0) == 1


def test_every_output_channel_has_its_own_scale() -> None:
    one = np.linspace(-1, 1, 255, dtype=np.float32)
    both = np.stack([one, 1000 * one])
    assert entropy_bits(both, channel_axis=0) == pytest.approx(math.log2(255))
    assert entropy_bits(both, channel_axis=1) == pytest.approx(
        entropy_bits(both.T, channel_axis=0)
    )
    assert entropy_bits(both, channel_axis=1) < 2


def test_channels_of_zeros_do_no_harm() -> None:
    weights = np.zeros((2, 8), np.float32)
    weights[0] = [1, -1, 1, -1, 1, -1, 1, -1]
    assert entropy_bits(weights, channel_axis=0) == 1.5


@given(
    st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=2, max_size=64), st.integers(-3, 3)
)
def test_entropy_is_within_eight_bits_and_knows_no_scale(
    values: list[float], exponent: int
) -> None:
    weights = np.asarray([values], np.float32)
    bits = entropy_bits(weights, channel_axis=0)
    assert 0 <= bits <= min(8, math.log2(len(values)) + 1e-9)
    if np.max(np.abs(weights)) > 1e-30:  # smaller ones lose bits when they are scaled
        scaled = weights * np.float32(2.0**exponent)
        assert entropy_bits(scaled, channel_axis=0) == pytest.approx(bits)


def test_integers_of_other_widths_have_their_own_entropy() -> None:
    wide = np.arange(-512, 512, dtype=np.int16).reshape(2, -1)
    assert entropy_bits(wide, channel_axis=0) == 10
    narrow = np.arange(-8, 8).astype(ml_dtypes.int4).reshape(2, -1)
    assert entropy_bits(narrow, channel_axis=0) == 4


@pytest.mark.parametrize("shape", [(6, 5, 7), (1, 210), (210, 1), (210,), (1, 1, 210)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16, np.int8])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_many_weights_are_counted_in_pieces(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: type, axis: int | None
) -> None:
    weights = (np.random.default_rng(0).normal(size=shape) * 40).astype(dtype)
    channel_axis = None if axis is None else axis % len(shape)
    whole = entropy_bits(weights, channel_axis=channel_axis)
    for size in (1, 4, 8, 16, 100):
        monkeypatch.setattr(constants, "_PIECE", size)
        assert entropy_bits(weights, channel_axis=channel_axis) == whole
    assert whole > 0 or channel_axis == 0


def test_what_is_broadcast_takes_no_memory() -> None:
    row = np.asarray([1, 2, 2, 2], np.float32)
    huge = np.broadcast_to(row, (10**12, 4))
    for axis in (None, 0, 1):
        assert entropy_bits(huge, channel_axis=axis) == entropy_bits(row[None], channel_axis=axis)
