"""Folds batch normalization and arithmetic with constants into the layers before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})


@dataclass(frozen=True)
class _Affine:
    """``factor * x + offset``, with one factor and offset per slice of ``x`` along ``axis``."""

    source: str
    factor: Array
    offset: Array
    axis: int


def fold_affine(graph: OnnxGraph) -> None:
    """Folds factors and offsets per channel into the convolution or Gemm before them.

    Those of feature maps that cannot be folded become a depthwise convolution with a 1 x 1 kernel,
    which has a scale per channel once it is quantized; Mul and Add have not.
    """
    for node in list(graph.nodes):
        affine = _match_affine(graph, node)
        if affine is None:
            continue
        producer = graph.producer(affine.source)
        alone = graph.only_consumer(affine.source) is node
        if producer is not None and alone and _fold_into(graph, producer, affine):
            producer.outputs = [node.output]
            graph.nodes.remove(node)
        elif affine.axis == 1 and len(graph.shapes[node.output]) == 4:
            _replace_by_depthwise(graph, node, affine)
        elif node.op == "BatchNormalization":
            _replace_by_arithmetic(graph, node, affine)
    graph.remove_unused()


def _match_normalization(graph: OnnxGraph, node: OnnxNode) -> _Affine | None:
    parameters = [graph.constants[name] for name in node.inputs[1:] if name in graph.constants]
    if len(parameters) != 4 or node.inputs[0] in graph.constants:
        return None
    gamma, beta, mean, variance = parameters
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    factor = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return _Affine(node.inputs[0], as_float32(factor), as_float32(beta - mean * factor), axis=1)


def _match_affine(graph: OnnxGraph, node: OnnxNode) -> _Affine | None:
    if node.op == "BatchNormalization":
        return _match_normalization(graph, node)
    if node.op not in _ARITHMETIC or len(graph.run_time_inputs(node)) != 1:
        return None
    position = 0 if node.inputs[0] in graph.constants else 1
    source, value = node.inputs[1 - position], graph.constants[node.inputs[position]]
    if node.op == "Div" and position == 0:
        return None
    shape = graph.shapes[node.output]
    if graph.shapes[source] != shape:
        return None
    axis = _single_axis(value.shape, shape)
    if axis is None:
        return None
    per_slice = np.broadcast_to(value.reshape(-1), (shape[axis],)).astype(np.float64)
    factor, offset = np.ones_like(per_slice), np.zeros_like(per_slice)
    if node.op == "Mul":
        factor = per_slice
    elif node.op == "Div":
        factor = 1.0 / per_slice
    elif node.op == "Add":
        offset = per_slice
    elif position == 1:
        offset = -per_slice
    else:
        factor, offset = -factor, per_slice
    return _Affine(source, as_float32(factor), as_float32(offset), axis)


def _single_axis(constant: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """The only axis along which a broadcast constant varies; that of the channels for a scalar."""
    if len(constant) > len(shape) or len(shape) < 2:
        return None
    padded = (1,) * (len(shape) - len(constant)) + constant
    varying = [axis for axis, size in enumerate(padded) if size > 1]
    if not varying:
        return 1 if len(shape) == 4 else len(shape) - 1
    return varying[0] if len(varying) == 1 else None


def _fold_into(graph: OnnxGraph, producer: OnnxNode, affine: _Affine) -> bool:
    if producer.op not in {"Conv", "Gemm"} or affine.source in graph.ranges:
        return False
    channels_axis = 1 if producer.op == "Conv" else len(graph.shapes[affine.source]) - 1
    weights = graph.constant(producer, 1)
    if affine.axis != channels_axis or weights is None:
        return False
    has_bias = len(producer.inputs) > 2 and producer.inputs[2] != ""
    bias = graph.constant(producer, 2) if has_bias else np.zeros(len(affine.factor), np.float32)
    if bias is None:
        return False
    new_bias = np.broadcast_to(bias.reshape(-1), affine.factor.shape) * affine.factor
    out_last = producer.op == "Gemm" and not producer.attributes.get("transB", 0)
    factor_shape = (1, -1) if out_last else (-1,) + (1,) * (weights.ndim - 1)
    stem = producer.output
    producer.inputs = [
        producer.inputs[0],
        graph.add_constant(
            f"{stem}/weights", as_float32(weights * affine.factor.reshape(factor_shape))
        ),
        graph.add_constant(f"{stem}/bias", as_float32(new_bias + affine.offset)),
    ]
    return True


def _replace_by_depthwise(graph: OnnxGraph, node: OnnxNode, affine: _Affine) -> None:
    channels = len(affine.factor)
    weights = graph.add_constant(
        f"{node.output}/weights", affine.factor.reshape(channels, 1, 1, 1)
    )
    bias = graph.add_constant(f"{node.output}/bias", affine.offset)
    node.op, node.inputs = "Conv", [affine.source, weights, bias]
    node.attributes = {"kernel_shape": [1, 1], "group": channels}


def _replace_by_arithmetic(graph: OnnxGraph, node: OnnxNode, affine: _Affine) -> None:
    shape = (1, -1) + (1,) * (len(graph.shapes[node.output]) - 2)
    scaled = graph.new_name(f"{node.output}/scaled")
    graph.shapes[scaled] = graph.shapes[node.output]
    factor = graph.add_constant(f"{node.output}/factor", affine.factor.reshape(shape))
    offset = graph.add_constant(f"{node.output}/offset", affine.offset.reshape(shape))
    multiply = OnnxNode("Mul", f"{node.name}/scale", [affine.source, factor], [scaled])
    graph.nodes.insert(graph.nodes.index(node), multiply)
    node.op, node.inputs, node.attributes = "Add", [scaled, offset], {}
