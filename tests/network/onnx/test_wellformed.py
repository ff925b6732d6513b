from __future__ import annotations

import numpy as np
import pytest
from onnx import AttributeProto, GraphProto, helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ("y = Relu(a) a = Neg(x)", "reads 'a', which nothing before it computes"),
        ("y = Relu(missing)", "reads 'missing'"),
        ("y = Relu(x) y = Neg(x)", "computes 'y', which is there before"),
        ("x = Relu(x) y = Neg(x)", "computes 'x'"),
    ],
)
def test_tensors_are_computed_once_and_before_they_are_read(nodes: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        onnx_network(onnx_model(f"(float[1,4] x) => (float y) {{ {nodes} }}"))


def test_names_that_are_no_text_are_damage() -> None:
    content = onnx_model("(float[1,4] x) => (float y) { abc = Relu(x) y = Neg(abc) }")
    damaged = content.SerializeToString().replace(b"abc", b"a\xacc")
    with pytest.raises(ModelError, match="damaged"):
        network_from_bytes(damaged, "onnx", "test")


@pytest.mark.parametrize(
    ("op", "attribute", "words"),
    [
        ("Conv", helper.make_attribute("strides", 2), "'strides' as INT instead of INTS"),
        ("Conv", helper.make_attribute("group", [1, 1]), "'group' as INTS instead of INT"),
        ("Conv", helper.make_attribute("group", [GraphProto()]), "'group' as GRAPHS"),
        ("Transpose", helper.make_attribute("perm", 1), "'perm' as INT instead of INTS"),
        ("Gemm", helper.make_attribute("alpha", "1"), "'alpha' as STRING instead of FLOAT"),
        ("Elu", AttributeProto(name="alpha", f=1.0), "'alpha' as UNDEFINED"),
        ("Cast", helper.make_attribute("saturate", 1), "needs an attribute 'to' of the type INT"),
    ],
)
def test_attributes_of_a_wrong_type_name_the_node(
    op: str, attribute: AttributeProto, words: str
) -> None:
    model = onnx_model("(float[1,2,4,4] x) => (float y) { y = Relu(x) }")
    (node,) = model.graph.node
    node.op_type = op
    node.attribute.append(attribute)
    if op in {"Conv", "Gemm"}:
        node.input.append("x")
    with pytest.raises(ModelError, match=f"'y' .{op}. of 'test' .*{words}"):
        onnx_network(model)


def test_an_attribute_that_is_given_twice_is_refused() -> None:
    model = onnx_model("(float[1,4] x) => (float y) { y = Elu<alpha=1.0>(x) }")
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", 2.0))
    with pytest.raises(ModelError, match="gives its attribute 'alpha' twice"):
        onnx_network(model)


@pytest.mark.parametrize(("field", "kind"), [("input", "input"), ("initializer", "constant")])
def test_what_is_listed_twice_is_refused(field: str, kind: str) -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = Add(x, k) }", {"k": np.ones(4, np.float32)}
    )
    listed = getattr(model.graph, field)
    listed.append(listed[0])
    with pytest.raises(ModelError, match=f"The {kind} .* of 'test' is listed twice"):
        onnx_network(model)


def test_a_split_with_more_outputs_than_parts_is_refused() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { a, b = Split<axis=1, num_outputs=2>(x) y = Relu(a) }",
        opset=18,
    )
    model.graph.node[0].output.insert(0, "")
    with pytest.raises(ModelError, match=r"'a' \(Split\) .* splits into 2 parts and has 3"):
        onnx_network(model)


def test_an_input_of_a_negative_size_is_refused() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = Slice(x, a, b) }",
        {"a": np.asarray([0, 0]), "b": np.asarray([9, 9])},
    )
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -4
    with pytest.raises(ModelError, match="has a negative size"):
        onnx_network(model)


@pytest.mark.parametrize("inputs", [[], [""], ["x"], ["x", "", "k"], ["", "k"]])
def test_a_required_input_that_is_missing_is_refused(inputs: list[str]) -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = QuantizeLinear(x, k) }", {"k": np.ones(1, np.float32)}
    )
    model.graph.node[0].input[:] = inputs
    with pytest.raises(ModelError, match=r"'y' \(QuantizeLinear\) of 'test' needs an input"):
        onnx_network(model)


def test_attributes_of_newer_forms_have_the_type_of_these() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = QuantizeLinear(x, k) }", {"k": np.ones(1, np.float32)}
    )
    model.graph.node[0].attribute.append(helper.make_attribute("block_size", [1]))
    with pytest.raises(ModelError, match="'block_size' as INTS instead of INT"):
        onnx_network(model)


def test_an_output_that_nothing_computes_is_refused() -> None:
    model = onnx_model("(float[1,4] x) => (float[1,4] y, float[1,4] z) { y = Relu(x) }")
    with pytest.raises(ModelError, match="The output 'z' of 'test' is computed by nothing"):
        onnx_network(model)
