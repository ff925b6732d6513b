from __future__ import annotations

import numpy as np
import pytest
from measured_cases import graph_of, separable_network
from small_networks import network_of
from two_runtimes import onnx_model, onnx_network

from npu_tune.targets.measured.layers import LayeredGraph


def layered(nodes: str, weights=None, *, inputs: str = "float[1,4,6,6] x") -> LayeredGraph:
    return graph_of(network_of(nodes, weights or {}, inputs=inputs))


def with_outputs(nodes: str, outputs: str, weights: dict[str, tuple[int, ...]]) -> LayeredGraph:
    values = {name: np.ones(shape, np.float32) for name, shape in weights.items()}
    return graph_of(
        onnx_network(onnx_model(f"(float[1,4,6,6] x) => ({outputs}) {{ {nodes} }}", values))
    )


CONV = {"w": (4, 4, 1, 1)}


def test_layers_are_products_and_sums_in_execution_order():
    graph = graph_of(separable_network())
    assert [(each.name, each.node.op, each.output) for each in graph.layers] == [
        ("c1", "Conv", "r1"),
        ("c2", "Conv", "r2"),
        ("c3", "Conv", "c3"),
        ("s1", "Add", "s1"),
        ("y", "Gemm", "y"),
    ]
    assert set(graph.by_output) == {"r1", "r2", "c3", "s1", "y"}


@pytest.mark.parametrize(
    "activation", ["Relu(c)", "Clip(c, low, high)", "Clip(c, low)", "Clip(c, , high)"]
)
def test_an_activation_belongs_to_the_layer_that_only_it_reads(activation):
    graph = layered(
        f"low = Constant<value_float=0.0>() high = Constant<value_float=6.0>() "
        f"c = Conv(x, w) y = {activation}",
        CONV,
    )
    (layer,) = graph.layers
    assert (layer.name, layer.output) == ("c", "y")


def test_an_activation_stands_alone_where_something_else_reads_the_layer():
    graph = layered("c = Conv(x, w) r = Relu(c) y = Add(c, r)", CONV)
    assert [(each.name, each.output) for each in graph.layers] == [("c", "c"), ("y", "y")]


def test_an_activation_stands_alone_where_the_layer_is_an_output():
    graph = with_outputs("c = Conv(x, w) y = Relu(c)", "float y, float c", CONV)
    assert [each.output for each in graph.layers] == ["c"]


def test_a_clip_with_limits_from_elsewhere_stands_alone():
    graph = layered(
        "c = Conv(x, w) low = ReduceMin<keepdims=0>(x) y = Clip(c, low)",
        CONV,
    )
    assert [each.output for each in graph.layers] == ["c"]


def test_a_layer_that_limits_a_clip_does_not_own_it():
    graph = layered(
        "m = MatMul(x, w) r = Relu(z) y = Clip(r, m)",
        {"w": (4,)},
        inputs="float[4] x, float[4] z",
    )
    assert all(each.activation is None for each in graph.layers)


def test_sums_with_a_constant_have_no_choices():
    graph = layered("a = Add(x, w) m = Mul(a, a) y = Mul(m, w)", {"w": (4, 6, 6)})
    assert [each.name for each in graph.layers] == ["m"]


def test_products_of_two_computed_tensors_have_no_choices():
    graph = layered("y = MatMul(x, x)")
    assert graph.layers == ()
    graph = layered("y = MatMul(w, x)", {"w": (6, 6)})
    assert graph.layers == ()


@pytest.mark.parametrize(
    ("nodes", "weights", "shape", "work"),
    [
        # outputs times weights per output
        ("y = Conv(x, w)", {"w": (8, 4, 3, 3)}, "1,4,6,6", (8 * 4 * 4) * (4 * 3 * 3)),
        ("y = Conv<group=4>(x, w)", {"w": (4, 1, 3, 3)}, "1,4,6,6", (4 * 4 * 4) * 9),
        ("y = Conv<group=2>(x, w)", {"w": (6, 2, 1, 1)}, "1,4,6,6", (6 * 6 * 6) * 2),
        ("y = Conv<strides=[2,2]>(x, w)", {"w": (8, 4, 2, 2)}, "3,4,6,6", 3 * 8 * 9 * 16),
        ("y = Conv(x, w)", {"w": (8, 4, 3)}, "1,4,6", (8 * 4) * (4 * 3)),
        ("y = Gemm(x, w, b)", {"w": (10, 3), "b": (3,)}, "2,10", 2 * 3 * 10),
        ("y = Gemm<transB=1>(x, w)", {"w": (3, 10)}, "2,10", 2 * 3 * 10),
        ("y = MatMul(x, w)", {"w": (10, 3)}, "2,5,10", 2 * 5 * 3 * 10),
        ("y = Add(x, x)", {}, "2,5", 10),
        ("y = Mul(x, x)", {}, "2,5", 10),
    ],
)
def test_work_is_as_calculated_by_hand(nodes, weights, shape, work):
    graph = layered(nodes, weights, inputs=f"float[{shape}] x")
    (layer,) = graph.layers
    assert graph.work(layer) == work


def test_a_node_that_reads_a_tensor_twice_is_one_reader():
    graph = layered("y = Add(x, x)")
    assert [node.output for node in graph.readers["x"]] == ["y"]
    assert graph.producers["y"].op == "Add"


def test_sums_of_whole_numbers_have_no_choices():
    graph = layered(
        "s = Shape(x) i = ArgMax<axis=1, keepdims=1>(x) j = ArgMin<axis=1, keepdims=1>(x) "
        "k = Add(i, j) f = Cast<to=1>(k) y = Add(f, f)"
    )
    assert [layer.name for layer in graph.layers] == ["y"]


def test_names_are_unique_and_printable_where_nodes_share_one():
    model = onnx_model(
        "(float[1,4,6,6] x) => (float y) { c = Conv(x, w) y = Conv(c, w) }",
        {"w": np.ones((4, 4, 1, 1), np.float32)},
    )
    for node in model.graph.node:
        node.name = "same\n" if node.output[0] == "y" else "same\t"
    names = [layer.name for layer in graph_of(onnx_network(model)).layers]
    assert len(set(names)) == 2
    assert all(name.isprintable() for name in names)
