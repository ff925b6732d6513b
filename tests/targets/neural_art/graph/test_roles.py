from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.neural_art.graph import roles

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple)


@given(SHAPES, st.booleans())
def test_guessed_sizes_hold_every_element(shape: roles.Shape, channels_last: bool) -> None:
    assert math.prod(roles.guess_sizes(shape, channels_last=channels_last)) == math.prod(shape)


@given(st.permutations("NCHW"), st.lists(st.integers(1, 5), min_size=4, max_size=4).map(tuple))
def test_a_transposition_changes_names_and_no_sizes(
    permutation: list[str], shape: roles.Shape
) -> None:
    order = tuple("NCHW".index(letter) for letter in permutation)
    have = roles.roles_of(shape, "NCHW")
    turned = tuple(shape[axis] for axis in order)
    assert roles.sizes_of(turned, roles.after_transpose(have, order)) == roles.sizes_of(
        shape, have
    )


def test_units_may_be_anything() -> None:
    have = roles.roles_of((1, 8, 1, 1), "NCHW")
    assert roles.are_compatible(have, roles.roles_of((1, 8, 1, 1), "NHWC")) is False
    assert roles.are_compatible(roles.roles_of((1, 1, 1, 8), "NCHW"), ("", "", "", "W"))
    assert roles.are_compatible(("", "", "", ""), ("N", "C", "H", "W"))


def test_putting_units_in_keeps_roles_and_merging_loses_them() -> None:
    have = roles.roles_of((1, 8, 6, 5), "NCHW")
    assert roles.after_reshape((1, 8, 6, 5), have, (8, 1, 6, 5)) == ("C", "", "H", "W")
    assert roles.after_reshape((1, 8, 6, 5), have, (1, 8, 30)) is None


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_only_layouts_are_free(order: tuple[int, ...]) -> None:
    shape = (1, 8, 6, 5)
    free = roles.only_relabels(shape, roles.roles_of(shape, "NCHW"), order)
    moved = [axis for axis in order if axis]
    assert free == (moved in ([1, 2, 3], [2, 3, 1]))


def test_element_wise_results_take_the_roles_of_the_first_that_has_any() -> None:
    shape = (1, 8, 6, 5)
    have = roles.roles_of(shape, "NCHW")
    assert roles.merge_roles(shape, [(shape, None), (shape, have)]) == have
    assert roles.merge_roles(shape, [((1, 8, 1, 1), ("", "C", "", "")), (shape, None)]) is None
    assert roles.merge_roles((8, 5), [((8, 1), ("C", "")), ((1, 5), ("", "C"))]) is None
