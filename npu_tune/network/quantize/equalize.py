"""Equalizes the ranges of channels, which share one scale once they are quantized.

A layer may multiply a channel of its output by any positive factor if the next layer divides by
it and the operators between are positively homogeneous, as ReLU and pooling are. Channels of small
range get more codes that way, while weights have a scale per output channel and lose little
(Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019,
section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32
from npu_tune.network.quantize.calibrate import Statistics

_HOMOGENEOUS = frozenset(
    {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LeakyRelu", "MaxPool", "Relu"}
)
_WIDEST_RATIO = 256.0
"""Largest ratio of two factors; a channel beyond it is noise, or had too few samples."""
_FEWEST_POSITIONS = 16
"""Fewest pixels of a feature map that give reliable ranges per channel with few samples."""


@dataclass(frozen=True)
class Equalization:
    """Rescaled channels.

    Args:
        statistics: of every run-time tensor.
        factors: per channel, by the names of the tensors that were rescaled.
    """

    statistics: dict[str, Statistics]
    factors: dict[str, NDArray[np.float64]]


def equalize(graph: OnnxGraph, statistics: Mapping[str, Statistics]) -> Equalization:
    """Rescales channels between pairs of convolutions, in place.

    Args:
        graph: simplified; its outputs keep their values.
        statistics: of every run-time tensor.
    """
    updated, applied = dict(statistics), {}
    for node in graph.nodes:
        if node.op != "Conv" or graph.constant(node, 1) is None:
            continue
        tensors, reader = _path_to_next_convolution(graph, node)
        if reader is None or any(name in graph.ranges for name in tensors):
            continue
        factors = _channel_factors(graph, reader, updated[tensors[-1]])
        _multiply_outputs(graph, node, factors)
        _divide_inputs(graph, reader, factors)
        for name in tensors:
            updated[name] = updated[name].scale(factors)
            applied[name] = factors
    return Equalization(updated, applied)


def _path_to_next_convolution(
    graph: OnnxGraph, node: OnnxNode
) -> tuple[list[str], OnnxNode | None]:
    """The tensors between a convolution and the next, and the next; None if it does not fit."""
    tensors = [node.output]
    reader = graph.only_consumer(node.output)
    while reader is not None and reader.op in _HOMOGENEOUS:
        tensors.append(reader.output)
        reader = graph.only_consumer(reader.output)
    fits = (
        reader is not None
        and reader.op == "Conv"
        and reader.inputs[0] == tensors[-1]
        and math.prod(graph.shapes[tensors[-1]][2:]) >= _FEWEST_POSITIONS
        and graph.constant(reader, 1) is not None
        and _groups(reader) in (1, graph.shapes[tensors[-1]][1])
        and (len(node.inputs) < 3 or not node.inputs[2] or graph.constant(node, 2) is not None)
    )
    return tensors, reader if fits else None


def _groups(node: OnnxNode) -> int:
    return int(node.attributes.get("group", 1))


def _channel_factors(graph: OnnxGraph, reader: OnnxNode, seen: Statistics) -> NDArray[np.float64]:
    spans = np.maximum(np.abs(seen.lows), np.abs(seen.highs))
    alive = spans > spans.max() / 1e6
    wished = np.ones_like(spans)
    if _is_depthwise(reader):
        wished[alive] = 1.0 / spans[alive]
    else:
        # The reader's weights share a scale across inputs, so both sides get the square root.
        weights = graph.constants[reader.inputs[1]]
        largest = np.abs(weights).max(axis=(0, *range(2, weights.ndim))).astype(np.float64)
        alive &= largest > 0.0
        wished[alive] = np.sqrt(largest[alive] / spans[alive])
    if not alive.any():
        return np.ones_like(spans)
    wished[~alive] = wished[alive].min()
    factors = np.minimum(wished / wished.min(), _WIDEST_RATIO)
    # Powers of two change no mantissa, so that every machine computes the same weights.
    return np.asarray(2.0 ** np.rint(np.log2(factors)))


def _is_depthwise(node: OnnxNode) -> bool:
    return _groups(node) > 1


def _store_weights(graph: OnnxGraph, node: OnnxNode, weights: Array) -> None:
    node.inputs[1] = graph.add_constant(f"{node.output}/equalized", as_float32(weights))


def _multiply_outputs(graph: OnnxGraph, node: OnnxNode, factors: Array) -> None:
    weights = graph.constants[node.inputs[1]]
    _store_weights(graph, node, weights * factors.reshape(-1, *[1] * (weights.ndim - 1)))
    bias = graph.constant(node, 2)
    if bias is not None:
        scaled = np.broadcast_to(bias.reshape(-1), factors.shape) * factors
        node.inputs[2] = graph.add_constant(f"{node.output}/equalized_bias", as_float32(scaled))


def _divide_inputs(graph: OnnxGraph, node: OnnxNode, factors: Array) -> None:
    weights = graph.constants[node.inputs[1]]
    if _is_depthwise(node):
        divisors = np.repeat(factors, weights.shape[0] // len(factors)).reshape(-1, 1, 1, 1)
    else:
        divisors = factors.reshape(1, -1, *[1] * (weights.ndim - 2))
    _store_weights(graph, node, weights / divisors)
