"""ONNX graphs of ONNX and TFLite networks, with all constant nodes folded."""

from __future__ import annotations

import numpy as np

from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Layer, Network
from npu_tune.network.onnx.fold import fold_constants
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode, float32_if_floating
from npu_tune.network.onnx.model import parse_onnx
from npu_tune.network.onnx.proto import opset_of


def onnx_nodes(network: Network) -> OnnxGraph:
    """Makes the graph of an ONNX network and folds its constant nodes.

    Raises:
        ModelError: if the operator set is too old, or a constant node cannot be computed.
    """
    budget = ReadingBudget(network.name)
    model = parse_onnx(network.model_bytes, name=network.name, budget=budget)
    graph = _nodes(network, opset_of(model), budget)
    _fill_constants(network, graph)
    _drop_empty_inputs(graph)
    fold_constants(graph)
    return graph


def _drop_empty_inputs(graph: OnnxGraph) -> None:
    """Makes inputs without elements constants, as no value of theirs decides anything."""
    empty = {name for name in graph.inputs if 0 in graph.shapes[name]}
    graph.constants |= {name: np.zeros(graph.shapes[name], np.float32) for name in empty}
    graph.inputs = [name for name in graph.inputs if name not in empty]


def _fill_constants(network: Network, graph: OnnxGraph) -> None:
    """Folds ConstantOfShape into broadcast views, which take no memory."""
    for node in graph.nodes:
        if node.op == "ConstantOfShape":
            value = np.asarray(node.attributes.get("value", [0.0])).reshape(-1)[0]
            described = network.tensors[node.output]
            graph.budget.take(described.size_bytes, f"the result of the {node}")
            filled = np.asarray(value, described.dtype)
            graph.constants[node.output] = np.broadcast_to(filled, described.shape)
    graph.nodes = [node for node in graph.nodes if node.output not in graph.constants]


def _nodes(network: Network, opset: int, budget: ReadingBudget) -> OnnxGraph:
    constants = {
        name: float32_if_floating(tensor.data)
        for name, tensor in network.tensors.items()
        if tensor.data is not None
    }
    return OnnxGraph(
        nodes=[_node(layer) for layer in network.layers if any(layer.outputs)],
        constants=constants,
        shapes={name: tensor.shape for name, tensor in network.tensors.items()},
        inputs=[name for name in network.inputs if name not in constants],
        outputs=list(network.outputs),
        opset=opset,
        budget=budget,
    )


def _node(layer: Layer) -> OnnxNode:
    return OnnxNode(
        layer.op, layer.name, list(layer.inputs), list(layer.outputs), dict(layer.attributes)
    )


def tflite_nodes(network: Network) -> OnnxGraph:
    """Makes the graph of a TFLite network and removes the nodes that no input decides.

    Weights that are only cast or reshaped keep their values. Other constant nodes, and those that
    read shapes, are replaced by zeros: the import needs only their shapes.
    """
    graph = _nodes(network, 0, ReadingBudget(network.name))
    kept = []
    for node in graph.nodes:
        if node.op not in _SIZES and graph.run_time_inputs(node):
            kept.append(node)
            continue
        for name in filter(None, node.outputs):
            shape = graph.shapes[name]
            value = graph.constant(node, 0) if node.op in _SAME_VALUES else None
            if value is None or value.size != graph.size(name):
                value = np.broadcast_to(np.zeros((), np.float32), shape)
            graph.constants[name] = value.reshape(shape)
    graph.nodes = kept
    graph.remove_unused()
    return graph


_SIZES = frozenset({"RANK", "SHAPE"})
"""Operators whose result only the shape of their input decides."""

_SAME_VALUES = frozenset({"CAST", "DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "SQUEEZE"})
