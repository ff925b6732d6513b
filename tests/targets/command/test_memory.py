"""What a program tells of memory."""

from __future__ import annotations

import json

import pytest

from npu_tune.errors import CompilerError


def test_a_program_may_tell_what_lies_in_memory(bound, network):
    problem = bound(memory=True, environment={"MEMORY": "{}"})
    timeline = problem.memory_timeline({})
    first, second = (layer.name for layer in network.layers)
    assert timeline.steps == (first, second)
    assert [(b.name, b.layer, b.first, b.last) for b in timeline.buffers] == [
        (f"map of {first}", first, 0, 1),
        (f"map of {second}", second, 1, 1),
    ]
    assert (timeline.used_bytes("SRAM"), timeline.capacities) == (128, {"SRAM": 128})


def test_a_program_that_does_not_say_so_is_not_run_for_its_memory(bound):
    assert bound(argv=["false"]).memory_timeline({}) is None


BUFFER = {"name": "map", "pool": "SRAM", "address": 0, "size_bytes": 8, "first": 0, "last": 0}


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ({"buffers": [{**BUFFER, "last": 2}]}, "'map' is in memory from step 0 to step 2"),
        ({"buffers": [{**BUFFER, "first": 1}]}, "from step 1 to step 0, of 2 steps"),
        ({"buffers": [{**BUFFER, "layer": "conv9"}]}, "'conv9' writes 'map', which is no layer"),
        ({"buffers": [BUFFER, {**BUFFER, "name": "other"}]}, "'map' and 'other' share bytes"),
        ({"buffers": [{**BUFFER, "address": -1}]}, "'memory.buffers.address' is -1"),
        ({"step": []}, "'memory.step'"),
    ],
)
def test_a_memory_that_cannot_be_is_refused_with_what_is_wrong(bound, memory, said):
    problem = bound(memory=True, environment={"MEMORY": json.dumps(memory)})
    with pytest.raises(CompilerError, match=said):
        problem.memory_timeline({})


def test_a_memory_is_declared_and_told_or_neither(bound):
    told = bound(environment={"MEMORY": "{}"})
    with pytest.raises(CompilerError, match="a memory, which is not declared"):
        told.evaluate({})
    declared = bound(memory=True)
    assert declared.evaluate({}).metrics
    with pytest.raises(CompilerError, match="no memory, which is declared"):
        declared.memory_timeline({})
