"""What lies in memory while a configuration runs, as Vela's allocator placed it."""

from __future__ import annotations

import pytest

from npu_tune.testing import some_configurations


@pytest.mark.parametrize("allocator", ["HillClimb", "Greedy", "LinearAlloc"])
def test_the_highest_address_in_sram_is_the_metric(resnet8_problem, allocator):
    space = resnet8_problem.space
    changed = space.configuration({"network/tensor_allocator": allocator})
    timeline = resnet8_problem.memory_timeline(changed)
    evaluation = resnet8_problem.evaluate(changed)
    assert timeline.used_bytes("SRAM") == evaluation.metrics["sram_bytes"]
    assert timeline.overlaps() == ()


def test_tuned_configurations_have_what_vela_counts_for_each_operator(resnet8_problem):
    for configuration in some_configurations(resnet8_problem.space, 6, seed=3):
        timeline = resnet8_problem.memory_timeline(configuration)
        evaluation = resnet8_problem.evaluate(configuration)
        assert timeline.used_bytes("SRAM") == evaluation.metrics["sram_bytes"]
        assert timeline.overlaps() == ()
        for layer, row in evaluation.profile.items():
            assert timeline.live_bytes("SRAM", timeline.steps.index(layer)) == row["sram_bytes"]
