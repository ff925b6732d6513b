"""What onnx's own evaluator does not compute as it is meant, when constants are folded."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike"}
)  # fmt: skip
_NEWEST_MEANING = {"Softmax": 13, "LogSoftmax": 13, "Hardmax": 13, "BatchNormalization": 14}
"""Operators whose older forms onnx's evaluator computes as the newest, from this set on right."""


def computed_otherwise(graph: OnnxGraph, node: OnnxNode) -> str:
    """Why onnx's evaluator must not compute a node, as onnxruntime gives something else.

    Both were compared on onnx's own examples of single nodes, and on some 130 nodes of older
    operator sets (onnx 1.23, onnxruntime 1.31).
    """
    training = graph.constant(node, 2)
    if node.op in _RANDOM or (node.op == "Dropout" and training is not None and training.any()):
        return "it draws random numbers"
    first = _NEWEST_MEANING.get(node.op, 0)
    if graph.opset < first:
        return f"it meant something else before operator set {first}"
    backwards = node.attributes.get("auto_pad") in (b"SAME_LOWER", "SAME_LOWER")
    if node.op in ("LpNormalization", "MaxUnpool") or (node.op == "MaxPool" and backwards):
        return "its value is disputed"
    return ""


def dequantize(graph: OnnxGraph, node: OnnxNode) -> Array:
    """Computes DequantizeLinear, with one scale for the tensor, or one per slice or block."""
    codes, scale = (graph.constants[name] for name in node.inputs[:2])
    zero_point = graph.constant(node, 2)
    offset = np.zeros((), np.float64) if zero_point is None else zero_point.astype(np.float64)
    block = int(node.attributes.get("block_size", 0))
    axis = int(node.attributes.get("axis", 1))
    if block:
        scale, offset = (_per_element(each, codes.shape, block, axis) for each in (scale, offset))
    elif scale.size > 1:
        shape = [-1 if place == axis % codes.ndim else 1 for place in range(codes.ndim)]
        scale = scale.reshape(shape)
        offset = offset.reshape(shape if offset.size > 1 else ())
    else:
        scale, offset = scale.reshape(()), offset.reshape(())
    return as_float32((codes.astype(np.float64) - offset) * scale)


def repeat_value(graph: OnnxGraph, node: OnnxNode) -> Array | None:
    """Computes Expand and ConstantOfShape without a copy of each element; None for other nodes.

    Raises:
        ValueError: if the sizes do not fit.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    if node.op == "Expand":
        value, sizes = (graph.constants[name] for name in node.inputs)
        return np.broadcast_to(value, np.broadcast_shapes(value.shape, tuple(sizes.tolist())))
    if node.op == "ConstantOfShape":
        given = node.attributes.get("value")
        filler = np.zeros((), np.float32) if given is None else numpy_helper.to_array(given)
        shape = tuple(graph.constants[node.inputs[0]].tolist())
        return np.broadcast_to(filler.reshape(()), shape)
    return None


def _per_element(values: Array, shape: tuple[int, ...], block: int, axis: int) -> Array:
    """Repeats a value of each block along an axis for all elements of the block."""
    if not values.ndim:
        return values
    repeated: Array = values.repeat(block, axis).take(range(shape[axis]), axis)
    return repeated
