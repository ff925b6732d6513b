from __future__ import annotations

import numpy as np
import onnx
import pytest
from measured_cases import feeds_of, separable_network
from onnx import helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError, ModelFormatError, UnsupportedOperatorError
from npu_tune.network import load_network
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.runtimes import onnx_session, run_session
from npu_tune.targets.measured.folding import (
    LEAST_OPSET,
    float_graph,
    fold,
    reference_outputs,
)

CONV_BN = """(float[1,3,8,8] x) => (float y) {
    c = Conv<kernel_shape=[3,3]>(x, w)
    n = BatchNormalization(c, s, b, m, v)
    y = Relu(n)
}"""


def conv_with_batch_norm(opset: int) -> onnx.ModelProto:
    generator = np.random.default_rng(3)
    weights = {"w": generator.normal(size=(4, 3, 3, 3)).astype(np.float32)}
    for name in "sbmv":
        weights[name] = generator.uniform(0.5, 1.5, 4).astype(np.float32)
    return onnx_model(CONV_BN, weights, opset=opset)


@pytest.mark.parametrize("opset", range(7, 23))
def test_batch_normalisation_is_folded_in_every_operator_set(opset):
    network = onnx_network(conv_with_batch_norm(opset))
    graph = float_graph(network)
    assert [node.op for node in graph.nodes] == ["Conv", "Relu"]
    assert graph.opset >= LEAST_OPSET
    assert graph.shapes[graph.outputs[0]] == (1, 4, 6, 6)


@pytest.mark.parametrize("opset", [7, 13, 22])
def test_what_was_folded_computes_the_same(opset):
    network = onnx_network(conv_with_batch_norm(opset))
    graph = float_graph(network)
    feeds = feeds_of(graph)
    session = onnx_session(graph_to_onnx(graph))
    for feed, (expected,) in zip(feeds, reference_outputs(network, feeds), strict=True):
        (found,) = run_session(session, ["y"], feed)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_constants_are_computed_beforehand():
    model = onnx_model(
        "(float[1,4] x) => (float y) { t = Transpose(w) k = Mul(t, t) y = MatMul(x, k) }",
        {"w": np.ones((3, 4), np.float32)},
    )
    graph = float_graph(onnx_network(model))
    assert [node.op for node in graph.nodes] == ["MatMul"]


def test_folding_twice_gives_the_same_bytes():
    network = separable_network()
    assert fold(network).SerializeToString() == fold(network).SerializeToString()


def test_tflite_is_refused_as_a_format():
    with pytest.raises(ModelFormatError, match="float ONNX") as caught:
        fold(load_network("ds-cnn"))
    assert "float ONNX" in caught.value.remedy


def test_an_operator_of_another_domain_is_refused_by_name():
    node = helper.make_node("Gelu", ["x"], ["y"], name="g", domain="com.microsoft")
    model = onnx_model("(float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    model.graph.node[0].CopyFrom(node)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    fix_output(model)
    with pytest.raises(ModelError, match=r"Gelu.*com\.microsoft"):
        fold(onnx_network(model))


def test_what_onnxruntime_does_not_have_is_refused_by_name():
    model = onnx_model("(float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    model.graph.node[0].CopyFrom(
        helper.make_node("NoSuchOperator", ["x"], ["y"], domain="org.example")
    )
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    fix_output(model)
    with pytest.raises(ModelError, match="NoSuchOperator"):
        fold(onnx_network(model))


def test_outputs_that_were_given_are_those_of_the_network_as_it_is():
    network = separable_network()
    feeds = feeds_of(float_graph(network))
    outputs = reference_outputs(network, feeds)
    assert [[value.shape for value in each] for each in outputs] == [[(1, 5)], [(1, 5)]]
    assert not np.array_equal(outputs[0][0], outputs[1][0])


def in_half_precision() -> onnx.ModelProto:
    """The same network, with float16 from its input to its output."""
    model = conv_with_batch_norm(13)
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return model


def test_half_precision_is_folded_as_single_precision():
    network = onnx_network(in_half_precision())
    graph = float_graph(network)
    assert [node.op for node in graph.nodes] == ["Conv", "Relu"]
    feeds = feeds_of(graph)
    session = onnx_session(graph_to_onnx(graph))
    for feed, (expected,) in zip(feeds, reference_outputs(network, feeds), strict=True):
        (found,) = run_session(session, ["y"], feed)
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2)


def test_inputs_that_are_no_real_numbers_are_refused_by_name():
    model = onnx_model(
        "(int64[1,4] ids) => (float y) { y = Gather(w, ids) }", {"w": np.ones((9, 4), np.float32)}
    )
    with pytest.raises(ModelError, match="'ids'"):
        float_graph(onnx_network(model))


@pytest.mark.parametrize("opset", [9, 13])
def test_a_batch_that_the_file_leaves_open_is_the_one_that_was_read(opset):
    model = conv_with_batch_norm(opset)
    for value, shape in [(model.graph.input[0], [3, 8, 8]), (model.graph.output[0], [4, 6, 6])]:
        value.CopyFrom(
            helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["batch", *shape])
        )
    graph = float_graph(onnx_network(model))
    assert [graph.shapes[name] for name in ("x", "y")] == [(1, 3, 8, 8), (1, 4, 6, 6)]


def test_control_flow_is_refused_by_name():
    model = onnx_model(
        """(float[1,4] x) => (float[1,4] y) {
            s = ReduceSum<keepdims=0>(x)
            b = Cast<to=9>(s)
            y = If (b) <
                then_branch = t () => (float[1,4] p) { p = Relu(x) },
                else_branch = e () => (float[1,4] q) { q = Neg(x) }
            >
        }"""
    )
    fix_output(model)
    with pytest.raises(UnsupportedOperatorError, match="If"):
        float_graph(onnx_network(model))


def test_types_of_tensors_that_are_no_real_numbers_are_kept():
    model = onnx_model("(float[1,4] x) => (int64 y) { y = ArgMax<axis=1>(x) }")
    graph = float_graph(onnx_network(model))
    assert graph.types == {"y": onnx.TensorProto.INT64}


def test_a_sum_of_two_becomes_an_add_and_one_of_three_stays():
    network = onnx_network(
        onnx_model(
            "(float[1,4] a, float[1,4] b) => (float y)"
            " { two = Sum(a, b) three = Sum(a, b, two) y = Mul(two, three) }"
        )
    )
    assert [node.op for node in float_graph(network).nodes] == ["Add", "Sum", "Mul"]


def fix_output(model: onnx.ModelProto) -> None:
    """Says the shape that ONNX cannot infer."""
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])
    )
