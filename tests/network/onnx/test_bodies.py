from __future__ import annotations

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError, NpuTuneWarning
from npu_tune.network.onnx.fold import fold_constants
from npu_tune.network.onnx.model import open_onnx
from npu_tune.network.onnx.proto import graph_from_onnx
from npu_tune.network.quantize import convert
from npu_tune.targets.neural_art.graph import graph_of

BRANCHES = (
    "then_branch = t () => (float[1,4] a) { a = Add(e, e) },"
    " else_branch = f () => (float[1,4] b) { b = Neg(e) }"
)


def _if(condition: str, before: str = "") -> ModelProto:
    """``y`` is twice or minus ``e``, which is computed outside the branches."""
    return onnx_model(
        f"(float[1,4] x, bool c) => (float y) {{ e = Relu(x) {before} y = If<{BRANCHES}>({condition}) }}",
        {"one": np.asarray(1), "two": np.asarray(2)},
        opset=16,
    )


def test_what_a_body_reads_from_outside_is_an_input_of_its_node() -> None:
    network = onnx_network(_if("c"))
    assert [(layer.op, layer.inputs) for layer in network.layers] == [
        ("Relu", ("x",)),
        ("If", ("c", "e")),
    ]
    assert [(each.op, each.inputs) for each in graph_of(network).operations] == [
        ("Relu", ("x",)),
        ("If", ("c", "e")),
    ]


def test_a_loop_and_a_scan_keep_what_their_bodies_read() -> None:
    model = onnx_model(
        "(float[1,4] x, int64 n, bool c) => (float y) { e = Relu(x) y = Loop<body = g"
        " (int64 i, bool on, float[1,4] v) => (bool go, float[1,4] w)"
        " { go = Identity(on) w = Add(v, e) }>(n, c, x) }",
        opset=16,
    )
    for size in (1, 4):
        model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=size)
    network = onnx_network(model)
    assert network.layers[-1].inputs == ("n", "c", "x", "e")
    assert {each.op for each in graph_of(network).operations} == {"Relu", "Loop"}


@pytest.mark.parametrize(
    ("condition", "op"), [("Less(one, two)", "Add"), ("Less(two, one)", "Neg")]
)
def test_an_if_that_sizes_decide_becomes_the_branch_that_runs(condition: str, op: str) -> None:
    network = onnx_network(_if("k", f"r = Shape(x) q = Size(r) k = {condition}"))
    ops = [layer.op for layer in network.layers]
    assert op in ops
    assert "If" not in ops
    assert network.tensors["y"].shape == (1, 4)


def test_a_branch_that_runs_is_converted() -> None:
    network = onnx_network(_if("k", "k = Less(one, two)"))
    with pytest.warns(NpuTuneWarning):
        assert len(convert(onnx_network(_only_float(network.model_bytes))).model_bytes) > 100


def _only_float(content: bytes) -> ModelProto:
    model = ModelProto.FromString(content)
    del model.graph.input[1]
    return model


def test_names_of_a_branch_that_stand_outside_too_stay_apart() -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["m"]), helper.make_node("Exp", ["m"], ["a"])],
        "t",
        [],
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4])],
    )
    model = onnx_model("(float[1,4] x) => (float z) { m = Neg(x) z = Identity(m) }", opset=16)
    known = helper.make_tensor("k", TensorProto.BOOL, [], [True])
    model.graph.initializer.append(known)
    node = helper.make_node("If", ["k"], ["s"], then_branch=branch, else_branch=branch)
    last = helper.make_node("Add", ["s", "m"], ["z"])
    del model.graph.node[1]
    model.graph.node.extend([node, last])
    network = onnx_network(model)
    made = {layer.op: layer for layer in network.layers}
    assert made["Neg"].outputs == ("m",)
    assert made["Exp"].inputs == made["Relu"].outputs != ("m",)


@pytest.mark.parametrize(("condition", "value"), [("Or(t, t)", 2.0), ("Not(t)", 3.0)])
def test_an_if_whose_branches_hold_only_constants_becomes_a_constant(
    condition: str, value: float
) -> None:
    def branch(constant: float) -> GraphProto:
        tensor = numpy_helper.from_array(np.asarray([constant], np.float32), "k")
        output = helper.make_tensor_value_info("k", TensorProto.FLOAT, [1])
        return helper.make_graph([], "branch", [], [output], [tensor])

    model = onnx_model(
        f"(float[1,4] x) => (float y) {{ c = {condition} y = Mul(x, i) }}",
        {"t": np.asarray(True)},
    )
    choice = helper.make_node("If", ["c"], ["i"], then_branch=branch(2.0), else_branch=branch(3.0))
    model.graph.node.insert(1, choice)
    graph = graph_from_onnx(open_onnx(model.SerializeToString(), name="test"))
    fold_constants(graph)
    assert [node.op for node in graph.nodes] == ["Mul"]
    assert [constant.tolist() for constant in graph.constants.values()] == [[value]]
    assert graph_of(onnx_network(model)).operations


def _calling(*calls: str) -> ModelProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    nodes = [
        helper.make_node(op, ["a"], ["b"], domain=d) for op, d in [c.split(":") for c in calls]
    ]
    function = helper.make_function("own", "f", ["a"], ["b"], nodes, opsets)
    graph = helper.make_graph(
        [helper.make_node("f", ["x"], ["y"], domain="own")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)


def test_functions_of_the_file_are_expanded() -> None:
    assert [layer.op for layer in onnx_network(_calling("Relu:")).layers] == ["Relu"]


def test_a_function_that_calls_itself_is_refused() -> None:
    with pytest.raises(ModelError, match="'f' of 'test' calls itself"):
        onnx_network(_calling("f:own"))


def test_an_operator_of_another_domain_is_not_taken_for_one_of_onnx() -> None:
    model = onnx_model("(float[1,4] x) => (float[1,4] y) { y = com.other.Relu(x) }")
    model.opset_import.append(helper.make_opsetid("com.other", 1))
    for size in (1, 4):
        model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=size)
    (operation,) = graph_of(onnx_network(model)).operations
    assert operation.software_reason == "no unit computes com.other.Relu"
    with pytest.raises(ModelError, match=r"com\.other\.Relu"):
        convert(onnx_network(model))
