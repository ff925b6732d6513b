"""Scales and zero points of quantizers."""

from __future__ import annotations

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode


def require_scales(graph: OnnxGraph, node: OnnxNode) -> None:
    """Checks the constant scale of a QuantizeLinear or DequantizeLinear, and its zero point.

    Args:
        graph: that the node is of.
        node: whose input may be a constant or not.

    Raises:
        ModelError: if a scale is no positive number, or there are more or fewer of them than
            the quantized tensor has slices or blocks.
    """
    scale, zero_point = graph.constant(node, 1), graph.constant(node, 2)
    if scale is None:
        return
    if not (np.isfinite(values := scale.astype(np.float64)) & (values > 0)).all():
        raise _error(node, "has a scale that is no positive number")
    shape = graph.shapes.get(node.inputs[0])
    if shape is None:
        return
    wanted = _shape_of_scales(node, shape)
    for label, value in (("scales", scale), ("zero points", zero_point)):
        if value is not None and value.size != 1 and value.shape != wanted:
            raise _error(
                node, f"has {label} of the shape {value.shape} for a tensor of the shape {shape}"
            )
    if scale.size == 1 and zero_point is not None and zero_point.size != 1:
        raise _error(node, f"has {zero_point.size} zero points for one scale")


def _shape_of_scales(node: OnnxNode, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of several scales; None if the node cannot have several."""
    axis, block = int(node.attributes.get("axis", 1)), int(node.attributes.get("block_size", 0))
    if not -len(shape) <= axis < len(shape):
        return None
    if block <= 0:
        return (shape[axis],)
    place = axis % len(shape)
    return (*shape[:place], -(-shape[place] // block), *shape[place + 1 :])


def _error(node: OnnxNode, reason: str) -> ModelError:
    return ModelError(
        f"The {node} {reason}.",
        remedy="Check the file with onnx.checker and quantize the network again.",
        node=node.name or node.output,
        op=node.op,
    )
