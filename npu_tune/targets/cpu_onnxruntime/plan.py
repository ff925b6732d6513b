"""Which nodes of a configuration compute in int8, and which tensors are stored so."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.measured.layers import FoldedLayer, LayeredGraph

MOVING = ("Flatten", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators whose result has the codes of what they read."""

FOLLOWING = ("AveragePool", "Concat", "GlobalAveragePool")
"""Operators that onnxruntime computes in int8 too, and that follow what they read."""


@dataclass(frozen=True)
class Plan:
    """What is in int8.

    Args:
        nodes: outputs of the nodes that compute in int8, activations included.
        tensors: that are stored in int8, by name: the tensor whose range they have.
    """

    nodes: AbstractSet[str]
    tensors: Mapping[str, str]


def is_quantizable(layered: LayeredGraph, layer: FoldedLayer) -> bool:
    """Whether onnxruntime has an int8 form of a layer."""
    node, graph = layer.node, layered.graph
    if not layer.is_product:
        return graph.shapes[node.inputs[0]] == graph.shapes[node.inputs[1]]
    if node.op == "MatMul":
        return graph.constants[node.inputs[1]].ndim == 2
    has_bias = len(node.inputs) > 2 and bool(node.inputs[2])
    bias = graph.constant(node, 2)
    channels = graph.shapes[node.output][1 if node.op == "Conv" else -1]
    # A column of a Gemm is added to rows, not to channels.
    if has_bias and (bias is None or bias.size != channels or bias.shape[-1:] != (channels,)):
        return False
    if node.op == "Gemm":
        plain = node.attributes.get("alpha", 1.0) == node.attributes.get("beta", 1.0) == 1.0
        return plain and not node.attributes.get("transA")
    return True


def make_plan(layered: LayeredGraph, in_int8: AbstractSet[str]) -> Plan:
    """Plans a configuration.

    Args:
        layered: the network.
        in_int8: names of the layers that are to compute in int8.
    """
    chosen = [layer for layer in layered.layers if layer.name in in_int8]
    by_node = {layer.node.output: layer for layer in chosen}
    activations = {layer.activation.output for layer in chosen if layer.activation is not None}
    nodes: set[str] = set()
    tensors: dict[str, str] = {}
    for node in layered.graph.nodes:
        layer = by_node.get(node.output)
        if layer is not None:
            nodes.add(node.output)
            tensors |= {x: x for x in layered.graph.run_time_inputs(node) if x not in tensors}
            tensors[layer.output] = layer.output
        elif node.output in activations:
            nodes.add(node.output)
        elif _follows(layered, node, nodes, tensors):
            nodes.add(node.output)
            root = tensors[node.inputs[0]] if node.op in MOVING else node.output
            tensors[node.output] = root
    return Plan(nodes, tensors)


def changed_by_range(layered: LayeredGraph, in_int8: AbstractSet[str]) -> AbstractSet[str]:
    """Names of the layers whose range makes a difference."""
    roots = set(make_plan(layered, in_int8).tensors.values())
    return {layer.name for layer in layered.layers if layer.output in roots}


def _follows(
    layered: LayeredGraph, node: OnnxNode, nodes: AbstractSet[str], tensors: Mapping[str, str]
) -> bool:
    """True where everything that a node reads comes out of something in int8."""
    if node.op not in MOVING + FOLLOWING or len(node.outputs) != 1:
        return False
    at_run_time = layered.graph.run_time_inputs(node)
    return bool(at_run_time) and all(x in nodes and x in tensors for x in at_run_time)
