"""Planned blocks and buffers, against every possible one and against the compiler."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_operators import chain

from npu_tune.targets.ethos_u import planner
from npu_tune.targets.ethos_u.planner import Frame, plan_choices


def least_cycles_by_trying_everything(operators, frames, limit):
    """The fewest cycles over all combinations of options, by the planner's arithmetic."""
    options = [list(planner._options(o, f)) for o, f in zip(operators, frames, strict=True)]
    best = None
    for combination in itertools.product(*options):
        label = None
        for option, frame in zip(combination, frames, strict=True):
            label = planner._next(label, option, limit - frame.feature_map_bytes)
            if label is None:
                break
        else:
            best = label.cycles if best is None else min(best, label.cycles)
    return best


def cycles_of(operators, frames, limit, changes):
    """The cycles of planned values, by the planner's arithmetic."""
    label = None
    for operator, frame in zip(operators, frames, strict=True):
        (option,) = [
            option
            for option in planner._options(operator, frame)
            if option.buffer == changes[f"{operator.name}/weight_buffer"]
        ]
        label = planner._next(label, option, limit - frame.feature_map_bytes)
    return label.cycles


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    room=st.floats(0.0, 2.0),
    cascaded=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_no_combination_of_options_beats_the_plan(seed, room, cascaded):
    operators = chain(4, seed)
    frames = [Frame(2 if c else 16, c, 4096.0) for c in cascaded]
    limit = 4096.0 + room * 4096.0
    changes = plan_choices(operators, frames, limit)
    best = least_cycles_by_trying_everything(operators, frames, limit)
    assert changes is not None
    assert cycles_of(operators, frames, limit, changes) == pytest.approx(best)


def test_there_is_no_plan_where_the_feature_maps_alone_do_not_fit():
    operators = chain(2, seed=0)
    frames = [Frame(16, False, 1000.0)] * 2
    assert plan_choices(operators, frames, 999.0) is None


def test_blocks_of_a_plan_are_not_higher_than_their_stripes():
    operators = chain(4, seed=1)
    changes = plan_choices(operators, [Frame(2, True, 0.0)] * 4, 1e6)
    assert changes is not None
    heights = [int(str(v).split("x")[0]) for k, v in changes.items() if k.endswith("ofm_block")]
    assert heights
    assert max(heights) <= 2


def test_a_plan_with_room_is_not_slower_than_velas_default(mobilenet_problem):
    problem, space = mobilenet_problem, mobilenet_problem.space
    changes = plan_choices(problem.choices, problem.frames(space.default), 1e9)
    vendor = problem.evaluate(space.default).metrics["cycles"]
    planned = problem.evaluate(space.configuration(changes)).metrics["cycles"]
    assert planned < vendor
