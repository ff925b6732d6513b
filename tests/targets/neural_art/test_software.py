"""What the CPU does: one epoch for each operator, by its work; and state, which stays."""

from __future__ import annotations

import pytest
from imported_graphs import imported, only
from litert_operators import operator_file
from small_graphs import STM32N6, metrics_of, run
from tflite_files import TfliteFile
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import NpuTuneWarning
from npu_tune.network import Network
from npu_tune.targets import Evaluation, load_target
from npu_tune.targets.neural_art.compiler.work import CPU_CYCLES_PER_MAC
from npu_tune.targets.neural_art.graph import graph_of

RATIO = STM32N6.clock_mhz / STM32N6.cpu_clock_mhz


def evaluated(network: Network) -> Evaluation:
    with load_target("neural-art-stm32n6").bind(network) as problem:
        return problem.evaluate(problem.space.default)


@pytest.mark.parametrize("op", ["TOPK_V2", "LSTM", "UNIQUE", "NON_MAX_SUPPRESSION_V5"])
def test_an_operator_is_one_epoch_whatever_the_number_of_its_outputs(op: str) -> None:
    evaluation = evaluated(operator_file(op).network())
    assert evaluation.metrics["software_epochs"] == 1
    assert len(evaluation.notes) == 1


def test_a_split_at_places_of_the_run_time_is_one_epoch_of_the_cpu() -> None:
    file = TfliteFile()
    x, sizes = file.tensor("x", (1, 8)), file.tensor("sizes", (2,), "int32")
    axis = file.tensor("axis", data=1, dtype="int32")
    y, z = file.tensor("y", (1, 3)), file.tensor("z", (1, 5))
    file.operator("SPLIT_V", [x, sizes, axis], [y, z], numSplits=2)
    graph = graph_of(file.ends([x, sizes], [y, z]).network())
    assert only(graph).outputs == ("y", "z")
    assert metrics_of(graph)["software_epochs"] == 1


def test_both_outputs_of_an_operator_are_in_memory_until_they_are_read() -> None:
    graph = imported(
        "a, b = TopK<axis=1>(x, k) c = Relu(a) d = Sigmoid(c) i = Cast<to=1>(b) y = Add(d, i)",
        constants={"k": [3]},
        opset=13,
    )
    found = run(graph)
    sizes = {block.name: block.end - block.start for block in found.steps[0].placement.placed}
    values, positions = (graph.maps[name] for name in ("a", "b"))
    assert sizes == {"a": values.size_bytes, "b": positions.size_bytes}
    assert found.steps[1].live_bytes >= positions.size_bytes + values.size_bytes


def test_the_cost_of_a_product_grows_with_its_products() -> None:
    def latency(inner: int) -> float:
        network = onnx_network(
            onnx_model(
                f"(float[8,{inner}] x, float[{inner},8] w) => (float y) {{ y = MatMul(x, w) }}"
            )
        )
        return evaluated(network).profile["y"]["cycles"]

    elements, products = 2 * 8 * 64, 8 * 8 * 64
    grown = (elements * STM32N6.cpu_cycles_per_element + products * CPU_CYCLES_PER_MAC) * RATIO
    assert latency(128) - latency(64) == pytest.approx(grown * 1.04)


def test_element_by_element_the_cost_is_that_of_the_elements() -> None:
    graph = imported("y = Softmax(x)", inputs="float[1,1000] x")
    cycles = 2000 * STM32N6.cpu_cycles_per_element * RATIO * 1.04
    fixed = STM32N6.calibration.software_epoch_cycles
    assert metrics_of(graph)["cycles"] == pytest.approx(cycles + fixed)
    assert only(graph).macs == 0


def test_state_is_in_memory_from_the_start_to_the_end() -> None:
    """A filter with a memory of 160 elements of 16 bits, between layers that do not use it."""
    network = operator_file("SVDF").network()
    (state,) = network.state
    graph = graph_of(network)
    assert (state in graph.inputs, state in graph.outputs) == (True, True)
    # It is read, and written in place.
    assert only(graph).inputs.count(state) == 2
    found = run(graph)
    blocks = {block.name: block for block in found.machine.live(found.machine.start)}
    assert blocks[state].end - blocks[state].start == 160 * 2
    assert blocks[state].last >= len(graph.operations)
    metrics = evaluated(network).metrics
    assert metrics["ram_bytes"] >= 160 * 2 + 8 + 16
    assert metrics["software_epochs"] == 1


def test_state_is_not_loaded_as_an_image_is(tmp_path) -> None:
    file = TfliteFile()
    x, y = file.tensor("x", (1, 8, 8, 4)), file.tensor("y", (1, 8, 8, 4))
    state = file.tensor("state", (1, 8, 8, 4), is_variable=True)
    file.operator("CUSTOM", [x, state], [y], custom=b"filter")
    network = file.ends([x], [y]).network()
    with load_target("neural-art-stm32n6").bind(network) as problem:
        assert [knob.layer for knob in problem.space.knobs if knob.name == "output_pool"] == [
            "x/load"
        ]
        program = problem.build(problem.space.default, tmp_path).files["model"].read_text()
    assert '"kind": "state"' in program


def test_a_file_of_several_graphs_is_compiled_with_a_warning() -> None:
    file = TfliteFile()
    for name in ("main", "other"):
        if name == "other":
            file.start_graph(name)
        x, y = file.tensor("x", (1, 8)), file.tensor("y", (1, 8))
        file.operator("RELU", [x], [y])
        file.ends([x], [y])
    with pytest.warns(NpuTuneWarning, match="2 graphs .* the first one is taken, and not 'other'"):
        evaluated(file.network())
