"""What lies in memory while a configuration runs, as Vela's allocator placed it."""

from __future__ import annotations

import pytest
from ethosu.vela.tensor import MemType

from npu_tune.errors import EvaluationError
from npu_tune.network import read_network
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.testing import some_configurations

DEDICATED = {"system_config": "Ethos_U65_High_End", "memory_mode": "Dedicated_Sram"}
SYSTEMS = {
    "U55 Sram_Only": ("ethos-u55-64", {"memory_mode": "Sram_Only"}),
    "U65 Dedicated_Sram": ("ethos-u65-512", DEDICATED),
    "U65 Dedicated_Sram_256KB": (
        "ethos-u65-256",
        {**DEDICATED, "memory_mode": "Dedicated_Sram_256KB"},
    ),
}


def require_same_memory(problem, configuration):
    """Compares a timeline with the metrics, and with what Vela counts for each operator."""
    evaluation = problem.evaluate(configuration)
    timeline = problem.memory_timeline(configuration)
    assert timeline.used_bytes("SRAM") == evaluation.metrics["sram_bytes"]
    assert timeline.overlaps() == ()
    for layer, row in evaluation.profile.items():
        assert timeline.live_bytes("SRAM", timeline.steps.index(layer)) == row["sram_bytes"]
    return timeline, evaluation


@pytest.mark.parametrize("allocator", ["HillClimb", "Greedy", "LinearAlloc"])
def test_the_highest_address_in_sram_is_the_metric(resnet8_problem, allocator):
    space = resnet8_problem.space
    require_same_memory(
        resnet8_problem, space.configuration({"network/tensor_allocator": allocator})
    )


def test_tuned_configurations_have_what_vela_counts_for_each_operator(resnet8_problem):
    for configuration in some_configurations(resnet8_problem.space, 6, seed=3):
        require_same_memory(resnet8_problem, configuration)


@pytest.mark.parametrize("system", SYSTEMS)
def test_sram_is_the_metric_in_every_memory_mode(system, mobilenet):
    name, options = SYSTEMS[system]
    with EthosUFamily().make(name, options).bind(mobilenet) as problem:
        require_same_memory(problem, problem.space.default)
        for configuration in some_configurations(problem.space, 3, seed=2):
            try:
                problem.evaluate(configuration)
            except EvaluationError:
                with pytest.raises(EvaluationError):
                    problem.memory_timeline(configuration)
            else:
                require_same_memory(problem, configuration)


def test_dram_has_the_feature_maps_and_the_metric_constants_besides(u65, resnet8):
    with u65.bind(resnet8) as problem:
        slow = {k.full_name: "slow" for k in problem.space.knobs if k.name == "ofm_storage"}
        configuration = problem.space.configuration(slow)
        timeline, evaluation = require_same_memory(problem, configuration)
        assert set(timeline.pools) == {"SRAM", "DRAM"}
        problem.evaluate(configuration)
        root = problem._session.graph.get_root_subgraph()
        constants = root.memory_used_per_type[MemType.Permanent_CPU]
        assert timeline.used_bytes("DRAM") + constants == evaluation.metrics["dram_bytes"]


def test_a_dedicated_sram_has_a_size(mobilenet):
    name, options = SYSTEMS["U65 Dedicated_Sram_256KB"]
    with EthosUFamily().make(name, options).bind(mobilenet) as problem:
        timeline = problem.memory_timeline(problem.space.default)
    assert timeline.capacities == {"SRAM": 256 * 1024}
    assert timeline.used_bytes("SRAM") <= 256 * 1024


def test_buffers_have_names_of_layers_and_what_is_overwritten_is_one_buffer(resnet8_problem):
    timeline = resnet8_problem.memory_timeline({"stage3/conv2/weight_buffer": "double-16"})
    buffers = {buffer.name: buffer for buffer in timeline.buffers}
    assert buffers["image"].layer == ""
    assert buffers["stage1/conv1"].layer == "stage1/conv1"
    added = buffers["stage1/conv2, stage1/add in its place"]
    assert added.layer == "stage1/conv2"
    assert timeline.steps[added.first] == "stage1/conv2"
    weights = buffers["weights of stage3/conv2 (1 of 2)"]
    assert weights.layer == "stage3/conv2"
    assert "weights of stage3/conv2 (2 of 2)" in buffers
    assert "weights of stage3/shortcut" in buffers


def test_weights_that_come_early_are_there_at_the_end_of_the_operator_before(resnet8_problem):
    timeline = resnet8_problem.memory_timeline({})
    weights = next(b for b in timeline.buffers if b.name == "weights of stage1/conv1")
    assert timeline.steps[weights.first] == "conv1 (end)"
    assert timeline.steps.index("conv1") == weights.first - 1


def test_what_a_cascade_needs_is_in_use_while_any_of_it_runs(mobilenet_problem):
    timeline = mobilenet_problem.memory_timeline({"network/strategy": "Size"})
    rolling = [buffer for buffer in timeline.buffers if buffer.name.endswith(" (rolling)")]
    assert rolling
    for buffer in rolling:
        steps = timeline.steps[buffer.first : buffer.last + 1]
        assert buffer.layer in steps
        assert len(steps) > 1


def test_operators_on_the_cpu_are_steps_and_the_maps_between_are_there(shared_models):
    target = EthosUFamily().make("ethos-u55-128", {"allow_cpu": True})
    network = read_network(shared_models / "tflite" / "mcunet_vww.tflite")
    with target.bind(network) as problem:
        timeline, evaluation = require_same_memory(problem, problem.space.default)
    on_cpu = [step for step in timeline.steps if step.endswith(" (CPU)")]
    assert len(on_cpu) == len(evaluation.notes)
    handed_on = next(b for b in timeline.buffers if f"{b.name} (CPU)" == on_cpu[0])
    assert handed_on.layer == ""
    assert timeline.steps[handed_on.first] == on_cpu[0]
