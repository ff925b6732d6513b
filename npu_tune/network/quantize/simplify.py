"""Simplifies an ONNX graph to operators that have a counterpart in TFLite."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.fold import fold_constants, remove_identities
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode, as_float32
from npu_tune.network.onnx.operators.sizes import is_bias
from npu_tune.network.onnx.quantizers import remove_quantizers
from npu_tune.network.quantize.affine import fold_affine
from npu_tune.network.quantize.door import check_nodes
from npu_tune.network.quantize.ranks import adjust_ranks


def simplify(graph: OnnxGraph) -> None:
    """Rewrites a graph in place; its outputs keep their names and values.

    Raises:
        UnsupportedOperatorError: if a node cannot be rewritten.
    """
    fold_constants(graph)
    check_nodes(graph)
    remove_quantizers(graph)
    remove_identities(graph)
    _split_sums(graph)
    adjust_ranks(graph)
    _make_gemms(graph)
    _settle_gemms(graph)
    _join_hard_swish(graph)
    fold_affine(graph)


def _split_sums(graph: OnnxGraph) -> None:
    """Splits Sum, Max and Min of several tensors into chains of binary operators."""
    pairwise = {"Sum": "Add", "Max": "Max", "Min": "Min"}
    nodes: list[OnnxNode] = []
    for node in graph.nodes:
        if node.op not in pairwise or (node.op != "Sum" and len(node.inputs) == 2):
            nodes.append(node)
            continue
        if len(node.inputs) == 1:
            nodes.append(OnnxNode("Identity", node.name, node.inputs, node.outputs))
            continue
        partial = node.inputs[0]
        for index, name in enumerate(node.inputs[1:], start=1):
            last = index == len(node.inputs) - 1
            result = node.output if last else graph.new_name(f"{node.output}/{index}")
            graph.shapes[result] = np.broadcast_shapes(graph.shapes[partial], graph.shapes[name])
            nodes.append(
                OnnxNode(pairwise[node.op], f"{node.name}/{index}", [partial, name], [result])
            )
            partial = result
    graph.nodes = nodes


def _make_gemms(graph: OnnxGraph) -> None:
    """Turns MatMul of a matrix with constant weights into Gemm, which can have a bias."""
    for node in graph.nodes:
        if node.op != "MatMul":
            continue
        weights = graph.constant(node, 1)
        if weights is not None and weights.ndim == 2 and len(graph.shapes[node.inputs[0]]) == 2:
            node.op = "Gemm"


def _settle_gemms(graph: OnnxGraph) -> None:
    """Leaves Gemms of a matrix, weights and at most a bias per output.

    The first factor is transposed before, the factors alpha and beta become part of constants, and
    an addend that is no bias is added behind.
    """
    nodes: list[OnnxNode] = []
    for node in graph.nodes:
        if node.op != "Gemm":
            nodes.append(node)
            continue
        if node.attributes.pop("transA", 0):
            nodes.append(_transposed_factor(graph, node))
        _scale_input(graph, node, 1, float(node.attributes.pop("alpha", 1.0)))
        beta = float(node.attributes.pop("beta", 1.0))
        nodes.append(node)
        addend = node.inputs[2] if len(node.inputs) > 2 else ""
        if not addend or is_bias(graph, addend):
            _scale_input(graph, node, 2, beta)
        else:
            nodes.extend(_added_behind(graph, node, beta))
    graph.nodes = nodes


def _transposed_factor(graph: OnnxGraph, node: OnnxNode) -> OnnxNode:
    source, target = node.inputs[0], graph.new_name(f"{node.output}/transposed")
    graph.shapes[target] = graph.shapes[source][::-1]
    node.inputs[0] = target
    return OnnxNode("Transpose", target, [source], [target], {"perm": [1, 0]})


def _scale_input(graph: OnnxGraph, node: OnnxNode, position: int, factor: float) -> None:
    value = graph.constant(node, position)
    if factor != 1.0 and value is not None:
        names = ("", "alpha", "beta")
        node.inputs[position] = graph.add_constant(
            f"{node.output}/{names[position]}", as_float32(value * factor)
        )


def _added_behind(graph: OnnxGraph, node: OnnxNode, beta: float) -> list[OnnxNode]:
    """The nodes that add ``beta`` times the addend of a Gemm, which loses it."""
    addend, target = node.inputs.pop(), node.output
    product = graph.new_name(f"{target}/product")
    graph.shapes[product] = graph.shapes[target]
    node.outputs = [product]
    nodes = []
    if beta != 1.0:
        scaled = graph.new_name(f"{target}/addend")
        factor = graph.add_constant(f"{target}/beta", as_float32(beta))
        graph.shapes[scaled] = graph.shapes[addend]
        nodes.append(OnnxNode("Mul", scaled, [addend, factor], [scaled]))
        addend = scaled
    nodes.append(OnnxNode("Add", f"{node.name}/add", [product, addend], [target]))
    return nodes


def _join_hard_swish(graph: OnnxGraph) -> None:
    """Fuses ``x * HardSigmoid(x)`` with a slope of 1/6 into HardSwish."""
    if graph.opset < 14:  # older operator sets have no HardSwish
        return
    for node in list(graph.nodes):
        if node.op != "Mul" or len(set(node.inputs)) != 2:
            continue
        for gate_name, other in (node.inputs, node.inputs[::-1]):
            gate = graph.producer(gate_name)
            if gate is None or gate.op != "HardSigmoid" or gate.inputs[0] != other:
                continue
            slope = float(gate.attributes.get("alpha", 0.2))
            offset = float(gate.attributes.get("beta", 0.5))
            if abs(slope - 1 / 6) < 1e-4 and offset == 0.5 and graph.only_consumer(gate_name):
                node.op, node.inputs = "HardSwish", [other]
                graph.nodes.remove(gate)
                break
