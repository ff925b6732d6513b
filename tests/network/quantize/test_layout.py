from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.network.quantize import layout

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)


@st.composite
def shaped_permutations(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(shapes)
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """A shape, another one of as many elements, and a permutation of the first."""
    before, permutation = draw(shaped_permutations())
    factors = [f for size in before for f in _factors(size)]
    order = draw(st.permutations(factors)) if factors else []
    cuts = draw(st.lists(st.integers(0, len(order)), max_size=4).map(sorted))
    edges = [0, *cuts, len(order)]
    after = tuple(math.prod(order[a:b]) for a, b in pairwise(edges))
    return before, after, permutation


def _factors(size: int) -> list[int]:
    return {1: [], 2: [2], 3: [3], 4: [2, 2]}[size]


def _numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


@given(reshapes())
def test_a_planned_reshape_gives_what_onnx_gives(
    case: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    before, after, permutation = case
    plan = layout.plan_reshape(before, after, permutation)
    data = _numbered(before)

    stored = data.transpose(plan.needed).reshape(layout.permute(after, plan.result))

    assert np.array_equal(stored, data.reshape(after).transpose(plan.result))


def test_splitting_and_merging_channels_moves_nothing() -> None:
    plan = layout.plan_reshape((1, 6, 5, 4), (1, 2, 3, 5, 4), layout.CHANNELS_LAST)
    assert plan.needed == layout.CHANNELS_LAST
    back = layout.plan_reshape((1, 2, 3, 5, 4), (1, 6, 5, 4), plan.result)
    assert back.needed == plan.result
    assert back.result == layout.CHANNELS_LAST


@given(shaped_permutations(), st.randoms())
def test_a_transpose_only_changes_the_permutation(
    case: tuple[tuple[int, ...], tuple[int, ...]], random: object
) -> None:
    shape, permutation = case
    onnx_permutation = list(range(len(shape)))
    random.shuffle(onnx_permutation)  # type: ignore[attr-defined]
    data = _numbered(shape)

    after = layout.after_transpose(permutation, tuple(onnx_permutation))

    moved = data.transpose(onnx_permutation)
    assert np.array_equal(moved.transpose(after), data.transpose(permutation))


@given(shaped_permutations())
def test_a_squeezed_transpose_moves_the_same_data(
    case: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, axes = case
    data = _numbered(shape)

    narrow, narrow_axes = layout.squeezed_transpose(shape, axes)

    assert sorted(narrow_axes) == list(range(len(narrow)))
    moved = data.reshape(narrow).transpose(narrow_axes)
    assert np.array_equal(moved.ravel(), data.transpose(axes).ravel())


@given(st.tuples(*[st.integers(1, 4)] * 3), st.permutations(range(3)))
def test_transpose_steps_together_move_the_same_data(
    shape: tuple[int, int, int], axes: list[int]
) -> None:
    data = _numbered(shape)
    moved = data
    for step_shape, step_axes in layout.transpose_steps(shape, tuple(axes)):
        moved = moved.reshape(step_shape).transpose(step_axes)
    assert np.array_equal(moved.ravel(), data.transpose(axes).ravel())


@given(shaped_permutations())
def test_the_flat_order_says_where_each_stored_element_stands_in_onnx(
    case: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, permutation = case
    data = _numbered(shape)
    assert layout.flat_order(shape, permutation) == data.transpose(permutation).ravel().tolist()


@given(shaped_permutations(), st.randoms())
def test_axes_between_two_orders_turn_one_into_the_other(
    case: tuple[tuple[int, ...], tuple[int, ...]], random: object
) -> None:
    shape, have = case
    want = list(have)
    random.shuffle(want)  # type: ignore[attr-defined]
    data = _numbered(shape)
    axes = layout.axes_between(have, tuple(want))
    assert np.array_equal(data.transpose(have).transpose(axes), data.transpose(want))
