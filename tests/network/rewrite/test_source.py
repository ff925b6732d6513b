from __future__ import annotations

import onnx
import pytest
from onnx import helper
from rewritten import model_of, stripes

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.rewrite import rewrite_model
from npu_tune.network.rewrite.source import open_source


def test_layers_are_called_as_the_network_calls_them():
    from two_runtimes import onnx_network

    model = model_of("(float[1,2,4,4] x) => (float y) { a = Relu(x) y = Neg(a) }")
    for node, name in zip(model.graph.node, ["same", "same"], strict=True):
        node.name = name
    source = open_source(model)
    assert list(source.layers) == [layer.name for layer in onnx_network(model).layers]
    assert list(source.layers) == ["same", "same#2"]


def test_constants_are_what_depends_on_no_input():
    source = open_source(
        model_of(
            "(float[1,2,4,4] x) => (float y) { k = Constant<value_float=2.0>() s = Neg(w)"
            " y = Mul(x, s) }",
            w=(1, 2, 1, 1),
        )
    )
    assert source.constants == {"k", "w", "s"}
    assert source.value("k") == 2.0
    assert source.value("s") is None


def test_open_sizes_are_refused():
    model = model_of("(float[N,2,4,4] x) => (float y) { y = Relu(x) }")
    with pytest.raises(ModelError, match=r"input 'x' of 'the network' has sizes that are not"):
        rewrite_model(model, stripes("y"))


def test_control_flow_is_refused_by_the_name_of_its_node():
    model = model_of(
        "(float[1,2,4,4] x, bool c) => (float y) {"
        " y = If(c) <then_branch = t () => (float a) { a = Relu(x) },"
        " else_branch = e () => (float b) { b = Neg(x) }> }"
    )
    model.graph.node[0].name = "choice"
    with pytest.raises(UnsupportedOperatorError, match=r"'choice'.*control flow") as error:
        rewrite_model(model, stripes("choice"))
    assert error.value.data == {"node": "choice", "op": "If"}


def test_weights_in_another_file_are_refused(tmp_path):
    model = model_of("(float[1,2,4,4] x) => (float y) { y = Mul(x, w) }", w=(1, 2, 4, 4))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    there = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    with pytest.raises(ModelError, match="'w' of 'the network' are in another file"):
        rewrite_model(there, stripes("y"))


def test_operator_sets_before_seven_are_refused():
    model = model_of("(float[1,2,4,4] x) => (float y) { y = Relu(x) }", opset=6)
    with pytest.raises(ModelError, match="operator set 6"):
        rewrite_model(model, stripes("y"))


def test_a_damaged_model_is_refused():
    node = helper.make_node("Relu", ["nowhere"], ["y"])
    shape = [1, 2, 4, 4]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    with pytest.raises(ModelError, match="'nowhere'"):
        rewrite_model(helper.make_model(graph), stripes("y"))


def test_functions_of_the_file_are_expanded():
    from rewritten import rewritten

    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13, "own" : 1]>'
        " test (float[1,2,8,8] x) => (float[1,2,8,8] y) { y = own.twice(x) }"
        ' <domain: "own", opset_import: ["" : 13]> twice (a) => (b) { c = Relu(a) b = Add(c, c) }'
    )
    names = list(open_source(model).layers)
    assert len(names) == 2
    rewritten(model, stripes(*names), exactly=True)
