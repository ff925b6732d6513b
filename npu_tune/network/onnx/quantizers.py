"""Takes a network with quantizers for the float network that it stands for."""

from __future__ import annotations

import re

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.fold import bypass
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.operators.scales import require_scales


def remove_quantizers(graph: OnnxGraph) -> None:
    """Removes QuantizeLinear-DequantizeLinear pairs and keeps the ranges they imply.

    Raises:
        ModelError: if its scale is no positive number.
        UnsupportedOperatorError: if a quantizer has another reader, so that integers flow, if its
            reader does not undo what it does, or if it has no single range.
    """
    for node in list(graph.nodes):
        if node.op != "QuantizeLinear":
            continue
        require_scales(graph, node)
        readers = graph.consumers(node.output)
        if node.output in graph.outputs or any(r.op != "DequantizeLinear" for r in readers):
            raise _quantizer_error(node, "is not followed by a DequantizeLinear")
        for reader in readers:
            if not _undoes(graph, node, reader):
                raise _quantizer_error(
                    node, f"is not undone by the {reader}, which has another scale or zero point"
                )
        graph.ranges[node.inputs[0]] = _quantizer_range(graph, node)
        for reader in readers:
            reader.inputs = [node.inputs[0]]
            bypass(graph, reader)
        graph.nodes.remove(node)


def _quantizer_error(node: OnnxNode, reason: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"The {node} {reason}.",
        remedy="Give the float network, or one with QuantizeLinear-DequantizeLinear pairs of one "
        "scale each.",
        node=node.name or node.output,
        op=node.op,
    )


def _undoes(graph: OnnxGraph, quantizer: OnnxNode, reader: OnnxNode) -> bool:
    """Tells whether a DequantizeLinear has the scale and zero point of its QuantizeLinear."""
    scales = [graph.constants[node.inputs[1]].reshape(-1) for node in (quantizer, reader)]
    offsets = [
        np.zeros(1, np.int64) if value is None else value.reshape(-1).astype(np.int64)
        for value in (graph.constant(quantizer, 2), graph.constant(reader, 2))
    ]
    return all(np.array_equal(*pair) for pair in (scales, offsets))


def _quantizer_range(graph: OnnxGraph, node: OnnxNode) -> tuple[float, float]:
    """The lowest and highest real number of a quantizer's integers.

    Raises:
        UnsupportedOperatorError: if it has several scales, or its codes are no integers.
    """
    from onnx import helper  # noqa: PLC0415 - heavy

    scale, zero_point = graph.constants[node.inputs[1]], graph.constant(node, 2)
    if scale.size != 1:
        raise _quantizer_error(node, f"has {scale.size} scales for values of the run time")
    code = int(node.attributes.get("output_dtype", 0))
    stated = helper.tensor_dtype_to_np_dtype(code) if code else np.dtype(np.uint8)
    dtype = stated if zero_point is None else zero_point.dtype
    integer = re.fullmatch(r"(u?)int(\d+)", dtype.name)
    if integer is None:
        raise _quantizer_error(node, f"quantizes to {dtype.name}, which are no integers")
    codes, step = 2 ** int(integer[2]), float(scale.reshape(-1)[0])
    lowest = 0 if integer[1] else -codes // 2
    offset = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return (lowest - offset) * step, (lowest + codes - 1 - offset) * step
