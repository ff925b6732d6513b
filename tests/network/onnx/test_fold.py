from __future__ import annotations

import numpy as np
import pytest
from two_runtimes import onnx_model

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.fold import fold_constants, remove_identities
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.model import infer_shapes
from npu_tune.network.onnx.proto import graph_from_onnx


def graph_of(
    body: str, constants: dict[str, np.ndarray] | None = None, opset: int = 13
) -> OnnxGraph:
    model = onnx_model(body, constants or {}, opset=opset)
    return graph_from_onnx(infer_shapes(model, name="model"))


def ops(graph: OnnxGraph) -> list[str]:
    return [node.op for node in graph.nodes]


def test_arithmetic_on_constants_is_computed() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y) { s = Mul(a, b) y = Add(x, s) }",
        {"a": np.asarray([2.0], np.float32), "b": np.asarray([3.0, 4.0], np.float32)},
    )
    fold_constants(graph)
    assert ops(graph) == ["Add"]
    assert graph.constants.keys() == {"s"}
    assert graph.constants["s"].tolist() == [6.0, 8.0]


def test_the_shape_of_an_input_is_a_constant() -> None:
    graph = graph_of("(float[1,6] x) => (float y) { s = Shape(x) y = Reshape(x, s) }")
    fold_constants(graph)
    assert graph.constants["s"].tolist() == [1, 6]


def test_identities_between_layers_are_removed_and_outputs_keep_their_names() -> None:
    graph = graph_of("(float[1,2] x) => (float y) { a = Identity(x) b = Relu(a) y = Identity(b) }")
    remove_identities(graph)
    assert [(node.op, node.inputs, node.outputs) for node in graph.nodes] == [
        ("Relu", ["x"], ["y"])
    ]


def test_an_output_that_is_an_input_keeps_a_node() -> None:
    graph = graph_of("(float[1,2] x) => (float y) { y = Identity(x) }")
    remove_identities(graph)
    assert ops(graph) == ["Identity"]


def test_tensors_without_elements_take_part_in_nothing() -> None:
    graph = graph_of(
        "(float[1,6] x) => (float y, float z) { e = Slice(x, zero, zero, one) f = Relu(e)"
        " y = Concat<axis=1>(x, f) a, b, c = Split<axis=1>(x, sizes) z = Add(a, c) }",
        {"zero": np.asarray([0]), "one": np.asarray([1]), "sizes": np.asarray([3, 0, 3])},
    )
    fold_constants(graph)
    concat, split, _ = graph.nodes
    assert concat.inputs == ["x"]
    assert split.outputs == ["a", "c"]
    assert graph.constants[split.inputs[1]].tolist() == [3, 3]


def test_a_repeated_value_takes_no_memory() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y, float z) { w = Expand(k, s) y = Add(x, w)"
        " o = ConstantOfShape<value = int8[1] {7}>(t) q = Cast<to=1>(o) z = Mul(x, q) }",
        {"k": np.asarray([[1.0, 2.0]], np.float32), "s": np.asarray([3, 1, 1]),
         "t": np.asarray([4, 2])},
    )  # fmt: skip
    fold_constants(graph)
    assert graph.constants["w"].tolist() == 3 * [[[1, 2]]]
    assert graph.constants["w"].strides[:2] == (0, 0)
    assert graph.constants["q"].tolist() == 4 * [[7, 7]]
    assert graph.constants["q"].dtype == np.float32


def test_a_value_that_cannot_be_repeated_is_refused() -> None:
    graph = graph_of(
        "(float[1,3] x) => (float y) { y = Add(x, k) }", {"k": np.ones(3, np.float32)}
    )
    graph.constants["s"] = np.asarray([2])
    graph.nodes = [OnnxNode("Expand", "", ["k", "s"], ["y"])]
    with pytest.raises(UnsupportedOperatorError, match="cannot be computed beforehand"):
        fold_constants(graph)


def test_ends_that_the_operator_set_does_not_know_change_no_shape() -> None:
    graph = graph_of("(float[1,6] x) => (float y) { y = Relu(x) }")
    graph.nodes = [OnnxNode("Shape", "", ["x"], ["y"], {"start": 1})]
    fold_constants(graph)
    assert graph.constants["y"].tolist() == [1, 6]


def test_further_outputs_are_computed_where_the_first_has_no_name() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y) { v, i = TopK(k, one) c = Cast<to=1>(i) y = Add(x, c) }",
        {"k": np.asarray([1.0, 5.0, 3.0], np.float32), "one": np.asarray([1])},
    )
    graph.nodes[0].outputs[0] = ""
    fold_constants(graph)
    assert graph.constants["c"].tolist() == [1.0]
