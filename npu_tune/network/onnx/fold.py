"""Removes nodes that need not run: constant arithmetic and identities."""

from __future__ import annotations

from typing import Any

import numpy as np

from npu_tune.network.onnx.elements import constant_value
from npu_tune.network.onnx.fold_size import (
    cannot_fold_error,
    check_foldable,
    last_line,
    single_node_model,
)
from npu_tune.network.onnx.graph import (
    Array,
    OnnxGraph,
    OnnxNode,
    float32_if_floating,
)
from npu_tune.network.onnx.operators.folding import computed_otherwise, dequantize, repeat_value
from npu_tune.network.onnx.operators.scales import require_scales

_SHAPE_WITH_ENDS = 15
"""The operator set that lets Shape give some sizes only."""
_IDENTITIES = frozenset({"Identity", "Dropout"})
_FLOAT_CODES = frozenset({1, 10, 11, 16})  # FLOAT, FLOAT16, DOUBLE and BFLOAT16 of ONNX


def fold_constants(graph: OnnxGraph) -> None:
    """Replaces every node whose inputs are all constant by its value, see compute_constants.

    Constants that nothing reads any more are dropped.
    """
    compute_constants(graph)
    graph.remove_unused()


def compute_constants(graph: OnnxGraph) -> None:
    """Computes every node whose inputs are all constant, and keeps all values.

    Tensors without elements are computed too, as they have but one value.

    Raises:
        ModelError: if a value is larger than the graph's budget.
        UnsupportedOperatorError: if such a node cannot be computed.
    """
    kept = []
    for node in graph.nodes:
        graph.budget.check_time()
        if node.op == "Shape" and node.inputs[0] in graph.shapes:
            shape = np.asarray(graph.shapes[node.inputs[0]], np.int64)
            # Earlier operator sets know no such attributes.
            ends = node.attributes if graph.opset >= _SHAPE_WITH_ENDS else {}
            _store_constant(graph, node.output, shape[ends.get("start", 0) : ends.get("end")])
        elif graph.run_time_inputs(node):
            if _drop_empty(graph, node):
                kept.append(node)
        else:
            named = [name for name in node.outputs if name]
            for name, value in zip(named, _compute(graph, node), strict=False):
                _store_constant(graph, name, value)
    graph.nodes = kept


def _drop_empty(graph: OnnxGraph, node: OnnxNode) -> bool:
    """Makes a node's results without elements constants; returns whether it has others.

    A concatenation reads tensors without elements no more, and a split makes none.
    """
    empty = {name for name in node.outputs if 0 in graph.shapes.get(name, ())}
    for name in empty:
        _store_constant(graph, name, np.zeros(graph.shapes[name], np.float32))
    if node.op == "Concat":
        node.inputs = [name for name in node.inputs if 0 not in graph.shapes.get(name, ())]
    elif node.op == "Split" and empty:
        node.outputs = [name for name in node.outputs if name not in empty]
        _state_sizes(graph, node)
    else:
        node.outputs = ["" if name in empty else name for name in node.outputs]
    return any(node.outputs) or not empty


def _state_sizes(graph: OnnxGraph, node: OnnxNode) -> None:
    """Makes a Split say how large its parts are."""
    axis = int(node.attributes.get("axis", 0))
    sizes = [graph.shapes[name][axis] for name in node.outputs if name]
    node.attributes = {"axis": axis}
    if graph.opset < 13:
        node.attributes["split"] = sizes
    else:
        stated = graph.add_constant(f"{node.name}/sizes", np.asarray(sizes, np.int64))
        node.inputs = [node.inputs[0], stated]


def _store_constant(graph: OnnxGraph, name: str, value: Array) -> None:
    if not name:
        return
    graph.constants[name] = float32_if_floating(value)
    graph.shapes[name] = value.shape


def _compute(graph: OnnxGraph, node: OnnxNode) -> list[Array]:
    """The values of the outputs that have names, in order."""
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - heavy

    check_foldable(graph, node)
    given = {name: graph.constants[name] for name in node.inputs if name}
    if node.op == "Constant":
        return [
            constant_value(
                node.attributes, node.output, name=graph.budget.subject, budget=graph.budget
            )
        ]
    if node.op in ("DequantizeLinear", "QuantizeLinear"):
        require_scales(graph, node)
    if node.op == "DequantizeLinear":
        return [dequantize(graph, node)]
    reason = computed_otherwise(graph, node)
    if reason:
        raise cannot_fold_error(node, reason)
    try:
        repeated = repeat_value(graph, node)
        if repeated is not None:
            return [repeated]
        model = single_node_model(graph, node, given, **_single_precision(node))
        results: Any = ReferenceEvaluator(model).run(None, given)
    except Exception as error:
        raise cannot_fold_error(node, last_line(error)) from error
    if not all(isinstance(result, (np.ndarray, np.generic)) for result in results):
        raise cannot_fold_error(node, "its results are no tensors")
    return [np.asarray(result) for result in results]


def _single_precision(node: OnnxNode) -> dict[str, Any]:
    """Makes a cast to any of the floating-point types of 16 bits or more one to float32."""
    cast = node.op == "Cast" and node.attributes.get("to") in _FLOAT_CODES
    return {"to": 1} if cast else {}


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
