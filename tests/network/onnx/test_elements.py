from __future__ import annotations

import numpy as np
import pytest
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper, parser
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.network.quantize import convert
from npu_tune.targets.neural_art.graph import graph_of

SHORT_FLOATS = ("BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT4E2M1")
SHORT_INTEGERS = ("INT4", "UINT4", "INT2", "UINT2")


def _cast(kind: str) -> Network:
    """Weights of a type, cast to float32 before a matrix product."""
    model = onnx_model(
        "(float[1,4] x) => (float y) { f = Cast<to=1>(w) m = MatMul(x, f) y = Relu(m) }", opset=25
    )
    values = np.resize([0.0, 1.0], (4, 8))
    model.graph.initializer.append(
        helper.make_tensor("w", getattr(TensorProto, kind), [4, 8], values.reshape(-1).tolist())
    )
    model.ir_version = 13
    return onnx_network(model)


@pytest.mark.parametrize("kind", [*SHORT_FLOATS, *SHORT_INTEGERS, "FLOAT16", "DOUBLE"])
@pytest.mark.filterwarnings("ignore")
def test_constants_of_any_type_of_number_are_read(kind: str) -> None:
    network = _cast(kind)
    assert [float(x) for x in network.tensors["w"].data.reshape(-1)[:4]] == [0, 1, 0, 1]
    (operation,) = graph_of(network).operations
    assert operation.weights.elements == 32
    assert convert(network).model_bytes


def test_a_type_that_is_not_known_is_refused_by_number() -> None:
    model = onnx_model("(float[1,4] x) => (float y) { y = Relu(x) }")
    model.graph.initializer.append(TensorProto(name="w", data_type=99, dims=[0]))
    with pytest.raises(ModelError, match=r"'w'.*99"):
        onnx_network(model)


@pytest.mark.parametrize(
    ("kind", "words"), [("STRING", "text"), ("COMPLEX64", "complex"), ("COMPLEX128", "complex")]
)
def test_what_is_no_real_number_is_refused(kind: str, words: str) -> None:
    model = onnx_model("(float[1,4] x) => (float y) { y = Identity(x) }")
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = getattr(TensorProto, kind)
    with pytest.raises(ModelError, match=rf"'x' of 'test' holds {words}"):
        onnx_network(model)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("(seq(float[1,4]) x) => (float y) { y = ConcatFromSequence<axis=0>(x) }", "a sequence"),
        ("(optional(float[1,4]) x) => (float[1,4] y) { y = OptionalGetElement(x) }", "optional"),
        ("(float[2,4] x) => (seq(float[1,4]) y) { y = SplitToSequence(x) }", "a sequence"),
    ],
)
def test_what_is_no_tensor_is_refused(body: str, words: str) -> None:
    with pytest.raises(ModelError, match=f"'[xy]' of 'test' is {words}"):
        onnx_network(parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> test {body}'))


def test_sparse_constants_are_refused() -> None:
    model = onnx_model("(float[1,4] x) => (float y) { y = Mul(x, w) }")
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.asarray([2]), "i")
    model.graph.sparse_initializer.append(
        SparseTensorProto(values=values, indices=indices, dims=[4])
    )
    with pytest.raises(ModelError, match=r"'w'.*sparse"):
        onnx_network(model)
