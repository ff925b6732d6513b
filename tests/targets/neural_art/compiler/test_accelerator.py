"""Cycles of the units."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.targets.neural_art.compiler.accelerator import (
    Shape,
    convolution_cycles,
    unit_cycles,
)
from npu_tune.targets.neural_art.graph import OperationKind

OVERS = ("input_channels", "kernels", "stripes")


def convolution(
    channels: int, kernels: int, rows: int, *, taps: int = 1, groups: int = 1
) -> Shape:
    return Shape(
        OperationKind.CONVOLUTION,
        channels,
        kernels,
        rows,
        rows * rows,
        channels * rows * rows,
        groups=groups,
        taps=(taps, taps),
        weights=channels // groups * kernels * taps * taps,
        rows_in=rows,
    )


sizes = st.integers(1, 300)
convolutions = st.builds(
    convolution, sizes, sizes, st.integers(1, 30), taps=st.sampled_from((1, 2, 3, 5, 7))
)


@pytest.mark.parametrize("over", OVERS)
@given(shape=convolutions)
@settings(max_examples=100, deadline=None)
def test_more_accelerators_never_slow_a_convolution(over, shape):
    cycles = [convolution_cycles(shape, number, over) for number in range(1, 9)]
    assert all(more <= fewer for fewer, more in pairwise(cycles))


@given(shape=convolutions)
@settings(max_examples=50, deadline=None)
def test_one_accelerator_shares_nothing(shape):
    assert len({convolution_cycles(shape, 1, over) for over in OVERS}) == 1


@given(convolutions, st.sampled_from(OVERS), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_no_accelerator_multiplies_faster_than_it_can(shape, over, number):
    macs = shape.pixels_out * shape.channels_out * shape.channels_in * shape.taps[0] ** 2
    assert macs / convolution_cycles(shape, number, over) <= 72 * number + 1e-6


@given(convolutions, st.sampled_from(OVERS), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_wider_accelerators_are_never_slower(shape, over, number):
    cycles = [convolution_cycles(shape, number, over, rate) for rate in (36, 72, 144)]
    assert all(more <= fewer for fewer, more in pairwise(cycles))


@pytest.mark.parametrize(
    ("shape", "accelerators", "cycles"),
    [
        # Read off the vendor compiler's report of MobileNetV2 0.5 at 128 x 128.
        (convolution(48, 16, 32), 1, 16384),
        (convolution(80, 16, 32), 4, 20480),
        (convolution(152, 32, 8), 2, 3243),
        (convolution(272, 48, 4), 4, 4352),
        (convolution(48, 272, 4), 2, 13056),
        (convolution(328, 8, 4), 4, 875),
        (convolution(64, 64, 16, taps=3, groups=64), 1, 16384),
    ],
)
def test_cycles_are_those_of_the_vendors_report(shape, accelerators, cycles):
    found = convolution_cycles(shape, accelerators, "input_channels")
    assert found == pytest.approx(cycles, rel=1e-3)


def test_units_take_an_element_per_cycle_and_pools_count_what_they_read():
    pool = Shape(OperationKind.POOL, 16, 16, 4, 16, 16 * 64)
    assert unit_cycles(pool) == 16 * 64
    addition = Shape(OperationKind.ARITHMETIC, 16, 16, 4, 16, 2 * 16 * 16)
    assert unit_cycles(addition) == 16 * 16
    assert unit_cycles(Shape(OperationKind.COPY, 16, 16, 4, 16, 16 * 16)) == 0
