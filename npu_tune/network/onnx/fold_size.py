"""What computing a node beforehand takes, known before it is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode
from npu_tune.network.onnx.proto import known_shape, node_to_onnx

if TYPE_CHECKING:
    import onnx

_FAST = frozenset(
    {
        *("Abs", "Add", "And", "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot"),
        *("BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant"),
        *("ConstantOfShape", "Cos", "CumSum", "DequantizeLinear", "Div", "Elu", "Equal", "Erf"),
        *("Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND"),
        *("Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN"),
        *("LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg"),
        *("NonZero", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range"),
        *("Reciprocal", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"),
        *("ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "ScatterND"),
        *("Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Split", "Sqrt"),
        *("Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where"),
        "Xor",
    }
)
"""Operators that are computed at the speed of NumPy, in time that grows with their tensors."""
_MATRIX_PRODUCTS = frozenset({"Gemm", "MatMul"})
_BOUNDED_BY_INPUTS = frozenset({"Compress", "NonMaxSuppression", "NonZero", "Unique"})
"""Operators whose results, of a size that only their values tell, have at most an index per
dimension of each element read."""
_BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap"})

_MOST_PRODUCTS = 3_000_000_000
"""A second or two for matrices of real numbers on one core."""
_MOST_SLOW_ELEMENTS = 100_000
"""A second or two where each element takes some microseconds of Python."""
_ELEMENT_BYTES = 8
"""The most that an element of any type takes."""
_WORKING = 3
"""Copies that there are while ONNX's own implementation computes a result."""


def cannot_fold_error(node: OnnxNode, reason: str) -> UnsupportedOperatorError:
    """Makes the error for a node that works on constants and is not computed beforehand."""
    return UnsupportedOperatorError(
        f"The {node} works on constants and cannot be computed beforehand: {reason}.",
        remedy="Simplify the network (for example with onnxsim) and try again.",
        node=node.name or node.output,
        op=node.op,
    )


def check_foldable(graph: OnnxGraph, node: OnnxNode) -> None:
    """Counts what the results of a node take in the graph's budget, before it is computed.

    Args:
        graph: the graph.
        node: all of whose inputs are constant.

    Raises:
        ModelError: if the results are larger than what is left.
        UnsupportedOperatorError: if the node takes too long, or nobody knows how long.
    """
    if node.op in _BODIES:
        raise cannot_fold_error(node, "its body is not run here")
    given = {name: graph.constants[name] for name in node.inputs if name}
    read = sum(value.size for value in given.values())
    shapes = [graph.shapes.get(name) for name in node.outputs if name]
    if None in shapes:
        shapes = list(_infer(graph, node, given))
    if None in shapes and node.op in _BOUNDED_BY_INPUTS:
        deepest = max(value.ndim for value in given.values())
        shapes = [(max(deepest, 1) * read,)]
    made = 0
    for shape in shapes:
        if shape is None:
            raise cannot_fold_error(node, "how large its results are is not known beforehand")
        made += math.prod(shape)
    size_bytes = made * _element_bytes(node)
    graph.budget.scratch().take(_WORKING * size_bytes, f"computing the {node}")
    graph.budget.take(size_bytes, f"the result of the {node}")
    if node.op in _MATRIX_PRODUCTS:
        products = math.prod(shapes[0] or ()) * _inner_size(node, given)
        if products > _MOST_PRODUCTS:
            raise cannot_fold_error(node, f"it takes {products:,} multiplications")
    elif node.op not in _FAST and read + made > _MOST_SLOW_ELEMENTS:
        raise cannot_fold_error(node, f"it works on {read + made:,} elements")


def _element_bytes(node: OnnxNode) -> int:
    """What an element of a node's result takes at most."""
    from onnx import TensorProto, helper  # noqa: PLC0415 - heavy

    if node.op != "ConstantOfShape":
        return _ELEMENT_BYTES
    value = node.attributes.get("value")
    kind = value.data_type if isinstance(value, TensorProto) else TensorProto.FLOAT
    return int(helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _inner_size(node: OnnxNode, given: Mapping[str, Array]) -> int:
    shape = given[node.inputs[0]].shape
    return shape[0 if node.attributes.get("transA") else -1] if shape else 1


def _infer(
    graph: OnnxGraph, node: OnnxNode, given: Mapping[str, Array]
) -> list[tuple[int, ...] | None]:
    """The shapes of a node's results, as far as they follow from the values it reads."""
    from onnx import numpy_helper, shape_inference  # noqa: PLC0415 - heavy

    try:
        model = single_node_model(graph, node, given)
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name)
            for name, value in given.items()
            if value.size <= _MOST_SLOW_ELEMENTS
        )
        inferred = shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:
        raise cannot_fold_error(node, last_line(error)) from error
    known = {value.name: value for value in inferred.graph.output}
    return [known_shape(known[name]) for name in node.outputs if name]


def single_node_model(
    graph: OnnxGraph, node: OnnxNode, given: Mapping[str, Array], **attributes: Any
) -> onnx.ModelProto:
    """A model of one node whose inputs have the types and shapes of given values.

    Raises:
        ValueError: if an attribute has a value that ONNX has no type for, or the like.
    """
    from onnx import helper  # noqa: PLC0415 - heavy

    proto = node_to_onnx(replace(node, attributes=node.attributes | attributes), graph.opset)
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in given.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.outputs if name]
    return helper.make_model(
        helper.make_graph([proto], "fold", inputs, outputs),
        opset_imports=[helper.make_opsetid("", graph.opset)],
    )


def last_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__
