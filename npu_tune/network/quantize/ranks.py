"""Adjusts operators on too few or too many dimensions to the ranks that TFLite supports."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_SLIDING = _CONVOLUTIONS | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}


def adjust_ranks(graph: OnnxGraph) -> None:
    """Inserts Reshapes around operators that TFLite supports only for another rank.

    One-dimensional convolutions and pools become two-dimensional ones of height one, products of
    stacks of matrices with one matrix become one product, and a softmax over several dimensions
    (before operator set 13) becomes one over the last dimension.
    """
    nodes: list[OnnxNode] = []
    for node in graph.nodes:
        if node.op in _SLIDING and len(graph.shapes[node.inputs[0]]) == 3:
            _widen_attributes(graph, node)
            nodes.extend(_between_reshapes(graph, node, _with_height))
        elif node.op == "MatMul" and _is_stack_times_matrix(graph, node):
            node.op = "Gemm"
            nodes.extend(_between_reshapes(graph, node, _as_matrix))
        elif node.op == "Softmax" and _spans_dimensions(graph, node):
            axis = int(node.attributes.get("axis", 1)) % len(graph.shapes[node.output])
            node.attributes["axis"] = 1
            nodes.extend(_between_reshapes(graph, node, partial(_split_at, axis=axis)))
        else:
            nodes.append(node)
    graph.nodes = nodes


def _with_height(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[1], 1, *shape[2:])


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (math.prod(shape[:-1]), shape[-1])


def _split_at(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (math.prod(shape[:axis]), math.prod(shape[axis:]))


_UNITS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}
"""What a dimension of size one has of each attribute with an element per dimension."""


def _widen_attributes(graph: OnnxGraph, node: OnnxNode) -> None:
    for name, unit in _UNITS.items():
        if name in node.attributes:
            node.attributes[name] = [unit, *node.ints(name)]
    if "pads" in node.attributes:
        first, last = node.ints("pads")
        node.attributes["pads"] = [0, first, 0, last]
    weights = graph.constant(node, 1) if node.op in _CONVOLUTIONS else None
    if weights is not None:
        node.inputs[1] = graph.add_constant(f"{node.output}/weights", weights[:, :, None, :])


def _is_stack_times_matrix(graph: OnnxGraph, node: OnnxNode) -> bool:
    weights = graph.constant(node, 1)
    return weights is not None and weights.ndim == 2 and len(graph.shapes[node.inputs[0]]) > 2


def _spans_dimensions(graph: OnnxGraph, node: OnnxNode) -> bool:
    if graph.opset >= 13:
        return False
    shape = graph.shapes[node.output]
    axis = int(node.attributes.get("axis", 1)) % len(shape)
    return math.prod(shape[axis + 1 :]) > 1


def _between_reshapes(
    graph: OnnxGraph, node: OnnxNode, reshape: Callable[[tuple[int, ...]], tuple[int, ...]]
) -> list[OnnxNode]:
    """The node between Reshapes of its first input and its output."""
    source, target = node.inputs[0], node.output
    before, after = graph.new_name(f"{target}/before"), graph.new_name(f"{target}/after")
    graph.shapes[before] = reshape(graph.shapes[source])
    graph.shapes[after] = reshape(graph.shapes[target])
    node.inputs[0], node.outputs = before, [after]
    return [
        _reshape_node(graph, source, before, graph.shapes[before]),
        node,
        _reshape_node(graph, after, target, graph.shapes[target]),
    ]


def _reshape_node(graph: OnnxGraph, source: str, target: str, shape: tuple[int, ...]) -> OnnxNode:
    sizes = graph.add_constant(f"{target}/sizes", np.asarray(shape, np.int64))
    return OnnxNode("Reshape", f"{target}/reshape", [source, sizes], [target])
