"""onnx's inference aborts the whole program where a Slice reads a negative size."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.parts import infer_in_parts, without_weights

CONSTANTS = {
    "w": np.zeros((2, 2, 9, 9), np.float32),
    "few": np.asarray([2]),
    "many": np.asarray([9]),
    "last": np.asarray([3]),
    "pads": np.asarray([0, 0, 0, 0, 0, 0, 0, -9]),
    "sizes": np.asarray([-3, 7]),
    "scales": np.asarray([1, 1, 1, -2], np.float32),
    "ends": np.asarray([1, 2, 1, -1]),
    "minus": np.asarray([-2]),
    "zero": np.asarray([0]),
    "four": np.asarray([4]),
}
NEGATIVE = [
    "a = Conv(x, w)",
    "a = MaxPool<kernel_shape=[9,9]>(x)",
    "a = Pad(x, pads)",
    "a = Resize(x, , scales)",
    "a, b = Split<axis=3>(x, sizes)",
    "a, i = TopK(x, minus)",
    "s = Slice(x, zero, four, last) a = Conv(s, w)",
    "s = Shape(x) t = Add(s, s) u = Sub(t, s) r = Reshape(x, u) a = Conv(r, w)",
]


@pytest.mark.parametrize("nodes", NEGATIVE)
def test_a_negative_size_is_refused_before_a_slice_reads_it(nodes: str) -> None:
    model = onnx_model(
        f"(float[1,2,3,4] x) => (float y) {{ {nodes} c = Slice(a, few, many, last) y = Relu(c) }}",
        CONSTANTS,
        opset=14,
    )
    with pytest.raises(ModelError, match=r"tensor 'a' of 'test' has a negative size: \(1, 2, "):
        onnx_network(model)


@pytest.mark.parametrize("source", ["file", "constant"])
def test_a_constant_of_a_negative_size_is_refused(source: str) -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { c = Slice(few, zero, many) y = Add(x, c) }", CONSTANTS
    )
    (tensor,) = (each for each in model.graph.initializer if each.name == "few")
    tensor.dims[0] = -3
    if source == "constant":
        node = model.graph.node.add(op_type="Constant", output=["few"])
        node.attribute.add(name="value", type=4).t.CopyFrom(tensor)
        model.graph.initializer.remove(tensor)
    with pytest.raises(ModelError, match="damaged"):
        onnx_network(model)


def test_what_is_inferred_in_parts_is_what_is_inferred_at_once() -> None:
    model = onnx_model(
        "(float[1,2,9,9] x) => (float y) { k = Constant<value_ints=[3]>() a = Conv(x, w)"
        " r = Slice(x, few, many, k) s = Slice(r, zero, few, k) p = Slice(r, few, four, k)"
        " c = Concat<axis=-1>(s, p) y = Add(a, c) }",
        CONSTANTS,
        opset=14,
    )
    found = infer_in_parts(without_weights(model), ReadingBudget("test")).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*found.value_info, *found.output)
    }
    assert shapes == {
        "k": [1], "a": [1, 2, 1, 1], "r": [1, 2, 9, 7], "s": [1, 2, 9, 2], "p": [1, 2, 9, 2],
        "c": [1, 2, 9, 4], "y": [1, 2, 9, 4],
    }  # fmt: skip
    assert [node.op_type for node in found.node] == [node.op_type for node in model.graph.node]


def test_slices_of_tensors_that_are_reshaped_to_computed_sizes_are_read() -> None:
    blocks = " ".join(
        f"s{i} = Shape(x{i}) n{i} = Gather(s{i}, zero) t{i} = Concat<axis=0>(n{i}, two, six)"
        f" r{i} = Reshape(x{i}, t{i}) a{i} = Slice(r{i}, zero, three, axis)"
        f" b{i} = Slice(r{i}, three, many, axis) x{i + 1} = Concat<axis=2>(b{i}, a{i})"
        for i in range(12)
    )
    model = onnx_model(
        f"(float[1,12] x) => (float y) {{ x0 = Relu(x) {blocks} y = Relu(x12) }}",
        {**CONSTANTS, "two": np.asarray([2]), "six": np.asarray([6]), "three": np.asarray([3]),
         "axis": np.asarray([2])},
        opset=14,
    )  # fmt: skip
    network = onnx_network(model)
    assert network.tensors["y"].shape == (1, 2, 6)
    assert [layer.op for layer in network.layers].count("Slice") == 24
    assert {layer.op for layer in network.layers} <= {
        "Relu", "Reshape", "Slice", "Concat", "Shape", "Gather"
    }  # fmt: skip


def test_constants_of_old_files_that_are_inputs_as_well_have_types() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { r = Unsqueeze<axes=[0]>(few) y = Add(x, r) }",
        {"few": np.asarray([2.0], np.float32)},
        opset=9,
    )
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("few", TensorProto.FLOAT, [1]))
    network = onnx_network(model)
    assert network.tensors["y"].shape == (1, 4)
    assert network.inputs == ("x",)
