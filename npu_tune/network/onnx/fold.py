"""Removes nodes that need not run: constant arithmetic, identities, quantizers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32
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
        values = (graph.constant(node, position) for position in range(3))
        return [_dequantize(node, *values)]
    reason = _not_computed(graph, node)
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


_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike"}
)  # fmt: skip
_NEWEST_MEANING = {"Softmax": 13, "LogSoftmax": 13, "Hardmax": 13, "BatchNormalization": 14}
"""Operators whose older forms onnx's evaluator computes as the newest, from this set on right."""


def _not_computed(graph: OnnxGraph, node: OnnxNode) -> str:
    """Why onnx's evaluator must not compute a node, as onnxruntime gives something else.

    All forms of all operators that both compute were compared (onnx 1.23, onnxruntime 1.31).
    """
    training = graph.constant(node, 2)
    if node.op in _RANDOM or (node.op == "Dropout" and training is not None and training.any()):
        return "it draws random numbers"
    first = _NEWEST_MEANING.get(node.op, 0)
    if graph.opset < first:
        return f"it meant something else before operator set {first}"
    backwards = node.attributes.get("auto_pad") in (b"SAME_LOWER", "SAME_LOWER")
    if node.op in ("LpNormalization", "MaxUnpool") or (node.op == "MaxPool" and backwards):
        return "its value is disputed"
    return ""


def _dequantize(
    node: OnnxNode, codes: Array | None, scale: Array | None, zero_point: Array | None
) -> Array:
    """Computes DequantizeLinear, with one scale for the tensor, or one per slice or block."""
    if codes is None or scale is None:
        raise _folding_error(node, "it has no scale")
    offset = np.zeros((), np.float64) if zero_point is None else zero_point.astype(np.float64)
    block = int(node.attributes.get("block_size", 0))
    axis = int(node.attributes.get("axis", 1))
    if block:
        scale, offset = (_per_element(each, codes.shape, block, axis) for each in (scale, offset))
    elif scale.size > 1:
        shape = [-1 if place == axis % codes.ndim else 1 for place in range(codes.ndim)]
        scale = scale.reshape(shape)
        offset = offset.reshape(shape if offset.size > 1 else ())
    else:
        scale, offset = scale.reshape(()), offset.reshape(())
    return as_float32((codes.astype(np.float64) - offset) * scale)


def _per_element(values: Array, shape: tuple[int, ...], block: int, axis: int) -> Array:
    """Repeats a value of each block along an axis for all elements of the block."""
    if not values.ndim:
        return values
    repeated: Array = values.repeat(block, axis).take(range(shape[axis]), axis)
    return repeated


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
            _bypass(graph, node)


def _is_identity(graph: OnnxGraph, node: OnnxNode) -> bool:
    before, after = graph.shapes.get(node.inputs[0]), graph.shapes.get(node.output)
    if node.op == "Transpose":
        permutation = node.ints("perm")
        return permutation == tuple(range(len(permutation))) and len(permutation) > 0
    if node.op == "Concat":
        return len(node.inputs) == 1
    return node.op in {"Reshape", "Flatten", "Squeeze", "Unsqueeze"} and before == after


def _bypass(graph: OnnxGraph, node: OnnxNode) -> None:
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


def remove_quantizers(graph: OnnxGraph) -> None:
    """Removes QuantizeLinear-DequantizeLinear pairs and keeps the ranges they imply.

    Raises:
        UnsupportedOperatorError: if a quantizer has another reader, so that integers flow, if its
            reader does not undo what it does, or if it has no single range.
    """
    for node in list(graph.nodes):
        if node.op != "QuantizeLinear":
            continue
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
            _bypass(graph, reader)
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
