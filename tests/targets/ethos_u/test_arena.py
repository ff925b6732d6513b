from __future__ import annotations

import pytest

from npu_tune.targets.ethos_u.arena import ALIGNMENT, memory_needs, planned_tensors


@pytest.fixture(scope="module")
def built(resnet8_problem, tmp_path_factory):
    return resnet8_problem.build(resnet8_problem.space.default, tmp_path_factory.mktemp("u55"))


def test_the_arena_is_what_vela_says_of_sram_where_everything_else_is_elsewhere(built):
    (arena,) = built.needs
    assert arena.name == "tensor arena"
    assert arena.memory == "SRAM"
    assert arena.size_bytes == built.evaluation.metrics["sram_bytes"]


def test_the_arena_is_the_end_of_the_last_tensor_with_a_place(built):
    tensors = planned_tensors(built.files["model"].read_bytes())
    ends = [t.offset + t.size_bytes for t in tensors]
    (arena,) = built.needs
    assert arena.size_bytes == -(-max(ends) // ALIGNMENT) * ALIGNMENT


def test_what_is_not_known_here_is_said_to_be_left_out(built):
    (arena,) = built.needs
    assert any("arena_used_bytes" in each for each in arena.left_out)


@pytest.mark.parametrize("name", ["u65", "u85"])
def test_a_fast_memory_of_the_npu_is_needed_beside_the_arena(name, request, resnet8, tmp_path):
    from npu_tune.targets.ethos_u.family import EthosUFamily

    target = (
        EthosUFamily().make("ethos-u85-256", {})
        if name == "u85"
        else request.getfixturevalue(name)
    )
    with target.bind(resnet8) as problem:
        built = problem.build(problem.space.default, tmp_path)
    arena, fast = built.needs
    assert (arena.memory, fast.memory) == ("DRAM", "SRAM")
    assert fast.size_bytes == built.evaluation.metrics["sram_bytes"]
    # TFLite Micro gives the fast scratch a place in its arena too.
    assert arena.size_bytes >= fast.size_bytes


def test_a_file_without_a_plan_says_nothing(resnet8):
    assert planned_tensors(resnet8.model_bytes) == ()
    assert memory_needs(resnet8.model_bytes, memory="SRAM", fast=None) == ()
