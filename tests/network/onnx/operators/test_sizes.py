from __future__ import annotations

import contextlib

import numpy as np
import pytest
from onnx import helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError, NpuTuneWarning
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.operators.sizes import check_sizes
from npu_tune.network.quantize import convert
from npu_tune.targets.neural_art.graph import graph_of

CONTRADICTIONS = {
    "y = Conv<kernel_shape=[5,5]>(x, w)": (6, 8, 3, 3),
    "y = ConvTranspose<kernel_shape=[5,5]>(x, w)": (8, 6, 3, 3),
    "y = Conv<group=2>(x, w)": (6, 8, 3, 3),
    "y = Conv(x, w)": (6, 5, 3, 3),
    "y = Conv<group=4>(x, w)": (6, 2, 3, 3),
    "y = ConvTranspose(x, w)": (6, 8, 3, 3),
}


@pytest.mark.filterwarnings(f"ignore::{NpuTuneWarning.__module__}.{NpuTuneWarning.__name__}")
@pytest.mark.parametrize("body", CONTRADICTIONS)
def test_kernels_groups_and_weights_that_contradict_each_other_are_refused(body: str) -> None:
    model = onnx_model(
        f"(float[1,8,12,10] x) => (float y) {{ {body} }}",
        {"w": np.ones(CONTRADICTIONS[body], np.float32)},
    )
    for read in (convert, graph_of):
        with pytest.raises(ModelError, match=r"'y' \(Conv.* contradicts itself"):
            read(onnx_network(model))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_negative_pads_of_a_window_are_refused(op: str) -> None:
    graph = OnnxGraph(
        [OnnxNode(op, "node", ["x"], ["y"], {"kernel_shape": [2, 2], "pads": [0, 0, 0, -1]})],
        constants={},
        shapes={"x": (1, 4, 8, 8), "y": (1, 4, 7, 6)},
        inputs=["x"],
        outputs=["y"],
        opset=13,
    )
    with pytest.raises(ModelError, match=r"its pads are \(0, 0, 0, -1\)"):
        check_sizes(graph, graph.nodes[0])


@pytest.mark.parametrize("wrong", ["short", "none"])
def test_parameters_of_a_normalization_that_do_not_fit_name_the_node(wrong: str) -> None:
    constants = {
        "short": np.ones(3, np.float32),
        "none": np.ones(0, np.float32),
        "four": np.ones(4, np.float32),
    }
    node = f"y = BatchNormalization(x, four, {wrong}, four, four)"
    model = onnx_model(f"(float[1,4,6,6] x) => (float y) {{ {node} }}", constants, opset=9)
    for read in (convert, graph_of):
        with pytest.raises(ModelError, match=r"'y' \(BatchNorm.* contradicts itself"):
            read(onnx_network(model))


@pytest.mark.parametrize(
    ("pads", "axes", "fits"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], None, True),
        ([1, 1, 1, 1], [-1, 2], True),
        ([], [], True),
        ([1, 1, 1, 1], None, False),
        ([1, 1, 1, 1], [2, -2], False),
        ([1, 1], [9], False),
    ],
)
def test_pads_are_two_for_every_dimension_that_they_are_for(
    pads: list[int], axes: list[int] | None, fits: bool
) -> None:
    given = {"pads": pads} if axes is None else {"pads": pads, "axes": axes}
    graph = OnnxGraph(
        [OnnxNode("Pad", "node", ["x", "pads", "", "axes"], ["y"])],
        constants={name: np.asarray(value, np.int64) for name, value in given.items()},
        shapes={"x": (1, 4, 8, 8)},
        inputs=["x"],
        outputs=["y"],
        opset=18,
    )
    refused = contextlib.nullcontext() if fits else pytest.raises(ModelError, match="its pads are")
    with refused:
        check_sizes(graph, graph.nodes[0])


def test_attributes_of_other_operators_are_no_pads() -> None:
    model = onnx_model("(float[1,4] x) => (float y) { y = Relu(x) }")
    model.graph.node[0].attribute.append(helper.make_attribute("pads", 1))
    (operation,) = graph_of(onnx_network(model)).operations
    assert "no attribute 'pads'" in operation.software_reason


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((), True), ((1, 5), True), ((3, 1), True), ((5,), True), ((3,), False), ((1, 3, 5), False)],
)
def test_what_a_gemm_adds_fits_its_result(shape: tuple[int, ...], fits: bool) -> None:
    graph = OnnxGraph(
        [OnnxNode("Gemm", "node", ["x", "w", "c"], ["y"])],
        constants={},
        shapes={"x": (3, 4), "w": (4, 5), "c": shape, "y": (3, 5)},
        inputs=["x", "c"],
        outputs=["y"],
        opset=13,
    )
    refused = contextlib.nullcontext() if fits else pytest.raises(ModelError, match="its C has")
    with refused:
        check_sizes(graph, graph.nodes[0])
