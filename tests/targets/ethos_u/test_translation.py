from __future__ import annotations

import math

import pytest
from made_up_operators import chain

from npu_tune.space import NETWORK_SCOPE
from npu_tune.targets.ethos_u.knobs import search_space
from npu_tune.targets.ethos_u.printed import PrintedOperator
from npu_tune.targets.ethos_u.translation import translate


def printed(operators, **changes):
    """A schedule of the same operators."""
    return [
        PrintedOperator(o.shape, **{"stripe_height": o.shape[0], **changes}) for o in operators
    ]


def values(found, operator):
    """The knobs of an operator that are not left to Vela."""
    prefix = f"{operator.name}/"
    return {
        name.removeprefix(prefix): value
        for name, value in found.configuration.items()
        if name.startswith(prefix) and value != "auto"
    }


@pytest.fixture
def operators():
    return chain(3, seed=0)


@pytest.fixture
def space(operators):
    return search_space(operators, [])


def test_a_cascade_keeps_its_stripes_and_its_end(operators, space):
    schedule = [
        PrintedOperator(operators[0].shape, stripe_height=4, cascade=1),
        PrintedOperator(operators[1].shape, stripe_height=2, cascade=1),
        PrintedOperator(operators[2].shape, stripe_height=16),
    ]
    found = translate(schedule, space, operators)
    assert values(found, operators[0]) == {"cascade": "join", "stripe_height": 4}
    assert values(found, operators[1]) == {"stripe_height": 2}
    assert values(found, operators[2]) == {}
    assert found.coverage == "3 of 3 operators"


def test_blocks_and_buffers_are_taken_where_they_are_offered(operators, space):
    block = operators[0].blocks[0].block
    schedule = printed(operators, block=block, buffering="Double", slices=(0, 16, 32))
    found = translate(schedule, space, operators)
    offered = values(found, operators[0])
    assert offered["ofm_block"] == "x".join(map(str, block))
    depths = [o.shape[2] for o in operators]
    buffers = [values(found, o).get("weight_buffer") for o in operators]
    assert buffers == ["double-16" if depth > 16 else None for depth in depths]
    strange = translate(printed(operators, block=(3, 5, 7)), space, operators)
    assert strange.configuration == space.default


def test_operators_that_one_core_does_not_have_are_passed_over(operators, space):
    other = PrintedOperator((7, 7, 7), stripe_height=7)
    first, *rest = printed(operators, buffering="Single")
    found = translate([first, other, *rest[:1]], space, operators)
    assert found.coverage == "2 of 3 operators"
    assert values(found, operators[1]) == {"weight_buffer": "single"}
    assert values(found, operators[2]) == {}
    assert translate([], space, operators).matched == 0


def test_the_formats_of_folded_elementwise_operators_are_found(narrow_problem):
    """The C++ core runs an addition of four channels on another shape of as many elements."""
    space, operators = narrow_problem.space, narrow_problem.choices
    adds = [o for o in operators if o.elementwise and o.shape[2] == 4]
    assert adds
    for folds in (False, True):
        schedule = [
            PrintedOperator((1, math.prod(o.shape) // 16, 16) if folds and o in adds else o.shape)
            for o in operators
        ]
        found = translate(schedule, space, operators)
        assert found.matched == len(operators)
        formats = {values(found, o).get("ofm_format") for o in adds if "NHWC" in o.formats}
        assert formats == ({"NHWC"} if folds else {None})


def test_the_default_of_the_other_core_costs_about_the_same_here(narrow_problem):
    (point, *_) = narrow_problem._cpp_core.points()
    found = translate(point.schedule, narrow_problem.space, narrow_problem.choices)
    metrics = narrow_problem.evaluate(found.configuration).metrics
    assert found.matched == found.operators
    for metric in ("cycles", "sram_bytes"):
        assert metrics[metric] == pytest.approx(point.metrics[metric], rel=0.05)


def test_schedules_of_the_other_core_take_as_much_memory_here(narrow_problem):
    for point in narrow_problem._cpp_core.points():
        found = translate(point.schedule, narrow_problem.space, narrow_problem.choices)
        metrics = narrow_problem.evaluate(found.configuration).metrics
        assert metrics["sram_bytes"] == pytest.approx(point.metrics["sram_bytes"], rel=0.15)


def test_nothing_of_the_network_is_changed(narrow_problem):
    (point, *_) = narrow_problem._cpp_core.points()
    found = translate(point.schedule, narrow_problem.space, narrow_problem.choices)
    default = narrow_problem.space.default
    changed = found.configuration.difference(default)
    assert not [name for name in changed if name.startswith(f"{NETWORK_SCOPE}/")]
