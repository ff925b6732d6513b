from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

from npu_tune.samplers import StepSettings
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.steps import align_layers, nudge, redraw_layer, revert_some, scatter_layers

SPACE = LayeredSpace.of(
    {
        "a/x": IntDistribution(0, 99),
        "a/y": CategoricalDistribution(tuple(range(100))),
        "b/x": IntDistribution(0, 9),
        "b/one": IntDistribution(3, 3),
    },
    None,
)
POINT = ((50, 50), (5, 0))


def _inside(point):
    return all(
        0 <= index < size
        for choice, sizes in zip(point, SPACE.sizes, strict=True)
        for index, size in zip(choice, sizes, strict=True)
    )


def test_an_ordered_parameter_moves_mostly_to_a_neighbour_and_another_anywhere():
    random = np.random.default_rng(0)
    moved = [nudge(random, SPACE, POINT, StepSettings())[0] for _ in range(600)]
    steps = [abs(x - 50) for x, _ in moved if x != 50]
    jumps = [abs(y - 50) for _, y in moved if y != 50]
    assert statistics.median(steps) <= 2
    assert max(steps) > 10
    assert statistics.median(jumps) > 15


@given(
    seed=st.integers(0, 10_000),
    point=st.tuples(
        st.tuples(st.integers(0, 99), st.integers(0, 99)),
        st.tuples(st.integers(0, 9), st.just(0)),
    ),
)
def test_a_nudge_changes_one_parameter_and_stays_inside(seed, point):
    moved = nudge(np.random.default_rng(seed), SPACE, point, StepSettings())
    differences = [
        a != b
        for one, two in zip(point, moved, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    assert differences.count(True) == 1
    assert _inside(moved)


@pytest.mark.parametrize("seed", range(20))
def test_every_step_stays_inside(seed):
    random = np.random.default_rng(seed)
    assert _inside(redraw_layer(random, SPACE, POINT))
    assert _inside(scatter_layers(random, SPACE, POINT, 5))
    along = align_layers(random, SPACE, POINT, StepSettings())
    assert along is not None
    assert _inside(along)


def test_there_is_no_run_where_no_two_layers_have_a_parameter_of_one_name():
    space = LayeredSpace.of({"a/x": IntDistribution(0, 9), "b/y": IntDistribution(0, 9)}, None)
    assert align_layers(np.random.default_rng(0), space, ((0,), (0,)), StepSettings()) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_what_is_taken_back_was_changed_and_nothing_else_moves(seed, kind):
    default, point = ((0, 0), (0, 0)), ((50, 50), (5, 0))
    kinds = [float(each == kind) for each in range(3)]

    left = revert_some(np.random.default_rng(seed), SPACE, point, default, kinds)

    taken = {
        (layer, at)
        for layer, choice in enumerate(left)
        for at, value in enumerate(choice)
        if value != point[layer][at]
    }
    assert taken <= {(0, 0), (0, 1), (1, 0)}
    assert all(left[layer][at] == default[layer][at] for layer, at in taken)
    assert {0: len(taken) == 1, 1: len({layer for layer, _ in taken}) == 1, 2: taken != set()}[
        kind
    ]
    if kind == 1:
        assert taken in ({(0, 0), (0, 1)}, {(1, 0)})
    if kind == 2:
        assert taken <= {(0, 0), (1, 0)} or taken == {(0, 1)}


def test_a_point_without_changes_stays_as_it_is():
    kinds = (0.5, 0.25, 0.25)
    assert revert_some(np.random.default_rng(0), SPACE, POINT, POINT, kinds) == POINT
