"""Removes nodes that need not run: constant arithmetic and identities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32
from npu_tune.network.onnx.operators.folding import computed_otherwise, dequantize
from npu_tune.network.onnx.proto import node_to_onnx

_IDENTITIES = frozenset({"Identity", "Dropout"})
_FLOAT_CODES = frozenset({1, 10, 11, 16})  # FLOAT, FLOAT16, DOUBLE and BFLOAT16 of ONNX


def fold_constants(graph: OnnxGraph) -> None:
    """Replaces every node whose inputs are all constant by its value.

    Raises:
        UnsupportedOperatorError: if such a node cannot be computed.
    """
    kept = []
    for node in graph.nodes:
        if node.op == "Shape" and node.inputs[0] in graph.shapes:
            shape = np.asarray(graph.shapes[node.inputs[0]], np.int64)
            first, last = node.attributes.get("start", 0), node.attributes.get("end")
            _store_constant(graph, node.output, shape[first:last])
        elif graph.run_time_inputs(node):
            kept.append(node)
        else:
            for name, value in zip(node.outputs, _compute(graph, node), strict=False):
                _store_constant(graph, name, value)
    graph.nodes = kept
    graph.remove_unused()


def _store_constant(graph: OnnxGraph, name: str, value: Array) -> None:
    floating = np.issubdtype(value.dtype, np.floating)
    graph.constants[name] = as_float32(value) if floating else value
    graph.shapes[name] = value.shape


def _compute(graph: OnnxGraph, node: OnnxNode) -> list[Array]:
    from onnx import helper  # noqa: PLC0415 - heavy
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - heavy

    given = {name: graph.constants[name] for name in node.inputs if name}
    if node.op == "DequantizeLinear":
        return [dequantize(graph, node)]
    reason = computed_otherwise(graph, node)
    if reason:
        raise _folding_error(node, reason)
    proto = node_to_onnx(replace(node, attributes=_single_precision_attributes(node)), graph.opset)
    onnx_graph = helper.make_graph(
        [proto],
        "fold",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in given.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in node.outputs if name],
    )
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", graph.opset)])
    try:
        results: Any = ReferenceEvaluator(model).run(None, given)
    except Exception as error:
        raise _folding_error(node, str(error)) from error
    return [np.asarray(result) for result in results]


def _folding_error(node: OnnxNode, reason: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"The {node} works on constants and cannot be computed beforehand: {reason}.",
        remedy="Simplify the network (for example with onnxsim) and try again.",
        node=node.name or node.output,
        op=node.op,
    )


def _single_precision_attributes(node: OnnxNode) -> dict[str, Any]:
    """The attributes of a node, with casts to any floating-point type made casts to float32."""
    if node.op == "Cast" and node.attributes.get("to") in _FLOAT_CODES:
        return {**node.attributes, "to": 1}
    return node.attributes


def remove_identities(graph: OnnxGraph) -> None:
    """Removes nodes whose output equals their input."""
    for node in list(graph.nodes):
        cast = node.op == "Cast" and node.attributes.get("to") in _FLOAT_CODES
        if node.op in _IDENTITIES or cast or _is_identity(graph, node):
            bypass(graph, node)


def _is_identity(graph: OnnxGraph, node: OnnxNode) -> bool:
    before, after = graph.shapes.get(node.inputs[0]), graph.shapes.get(node.output)
    if node.op == "Transpose":
        permutation = node.ints("perm")
        return permutation == tuple(range(len(permutation))) and len(permutation) > 0
    if node.op == "Concat":
        return len(node.inputs) == 1
    return node.op in {"Reshape", "Flatten", "Squeeze", "Unsqueeze"} and before == after


def bypass(graph: OnnxGraph, node: OnnxNode) -> None:
    """Removes a node; what reads its output reads its input."""
    source, target = node.inputs[0], node.output
    if target not in graph.outputs:
        graph.replace_input(target, source)
    else:
        producer = graph.producer(source)
        if producer is None or source in graph.outputs:
            # An output that is also an input, or another output, needs a node of its own.
            node.op, node.inputs, node.attributes = "Identity", [source], {}
            return
        producer.outputs = [target if name == source else name for name in producer.outputs]
        graph.replace_input(source, target)
        if source in graph.ranges:
            graph.ranges[target] = graph.ranges[source]
    graph.nodes.remove(node)
