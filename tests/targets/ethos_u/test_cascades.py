"""Planned cascades, against every possible division and against the compiler."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_operators import chain, frames
from vela_operators import SmallTflite

from npu_tune.targets.ethos_u.cascades import CascadePlanner
from npu_tune.targets.ethos_u.starts import linear_maps, uncascaded


def divisions(planner: CascadePlanner, last: int):
    """Every way to divide the operators up to one into groups."""
    if last < 0:
        yield []
        return
    for group in planner._ending[last]:
        for before in divisions(planner, group.first - 1):
            yield [*before, group]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), relaxed=st.floats(0.5, 3.0))
def test_no_division_under_the_limit_has_fewer_cycles(seed, relaxed):
    operators = chain(4, seed)
    planner = CascadePlanner(operators, frames(operators))
    limit = planner._least_memory() * relaxed
    found = planner.divide(limit)
    fitting = [
        sum(group.cycles for group in division)
        for division in divisions(planner, 3)
        if all(group.memory_bytes <= limit for group in division)
    ]
    assert bool(found) == bool(fitting)
    if found:
        assert sum(group.cycles for group in found) == pytest.approx(min(fitting))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_groups_follow_one_another_and_cover_everything(seed):
    operators = chain(6, seed)
    planner = CascadePlanner(operators, frames(operators))
    groups = planner.divide(planner._least_memory())
    covered = [i for group in groups for i in range(group.first, group.last + 1)]
    assert covered == list(range(6))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_less_memory_than_the_least_is_not_promised(seed):
    operators = chain(5, seed)
    planner = CascadePlanner(operators, frames(operators))
    assert planner.divide(planner._least_memory() * 0.999) == []


def test_the_tightest_cascades_save_memory_in_the_compiler(mobilenet_problem):
    problem, space = mobilenet_problem, mobilenet_problem.space
    frames = problem.frames(space.configuration(uncascaded(problem.choices, frozenset())))
    changes = next(iter(CascadePlanner(problem.choices, frames).plans()))
    base = problem.evaluate(space.default).metrics["sram_bytes"]
    found = problem.evaluate(space.configuration(changes)).metrics["sram_bytes"]
    assert found < 0.95 * base


def test_memory_is_planned_with_the_formats_that_feature_maps_have(narrow_problem):
    """Maps of 4 and 8 channels in bricks of 16 would hide how small cascades between them are."""
    problem, found = narrow_problem, {}
    space, operators = problem.space, problem.choices
    for linear, words in linear_maps(operators).items():
        frames = problem.frames(space.configuration(uncascaded(operators, linear)))
        planner = CascadePlanner(operators, frames, linear)
        compiled = [problem.evaluate(space.configuration(c)) for c in planner.plans()]
        sizes = [evaluation.metrics["sram_bytes"] for evaluation in compiled]
        found[words] = (planner._least_memory(), sizes)
    assert set(found) == {"", "NHWC at elementwise, ", "NHWC "}
    assert found["NHWC at elementwise, "][1]
    for least, sizes in found.values():
        assert not sizes or min(sizes) == pytest.approx(least, rel=0.1)
    assert found["NHWC at elementwise, "][0] < found[""][0]


def branching_network():
    """Two convolutions of the same map, whose results are the halves of another one, twice."""
    file = SmallTflite()
    file.tensor("in", (1, 24, 24, 16))
    last, depth = "in", 16
    for block in range(2):
        file.convolution(last, f"squeeze{block}", (1, 24, 24, 16), depth)
        halves = [
            file.convolution(f"squeeze{block}", f"{side}{block}", (1, 24, 24, 32), 16)
            for side in ("left", "right")
        ]
        last, depth = file.tensor(f"both{block}", (1, 24, 24, 64)), 64
        file.operator("CONCATENATION", halves, [last], "ConcatenationOptions", axis=3)
    return file.network("branching", ["in"], [last])


def test_a_map_that_several_operators_write_is_counted_once(u55):
    """While the second half of a concatenation is written, the first half lives already."""
    with u55.bind(branching_network()) as problem:
        space, operators = problem.space, problem.choices
        frames = problem.frames(space.configuration(uncascaded(operators, frozenset())))
        since = [frame.ofm_since for frame in frames]
        planner = CascadePlanner(operators, frames)
        changes = next(iter(planner.plans()))
        compiled = problem.frames(space.configuration(changes))  # without weights
    shared = [index for index, first in enumerate(since) if first != index]
    assert len(shared) == 2
    found = max(frame.feature_map_bytes for frame in compiled)
    assert found == pytest.approx(planner._least_memory(), rel=0.1)
    # One whole concatenation, what is before it, and less than another half of it.
    whole, before = 24 * 24 * 64, 24 * 24 * 16
    assert planner._least_memory() < 1.5 * whole + before
