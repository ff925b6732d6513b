"""Sums, products, differences and quotients of two tensors, one of which may be constant."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.ncnn.operators.pointwise import per_outermost
from npu_tune.targets.ncnn.translator import Operator, Translator

_CODES = {"Add": 0, "Sum": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5}
_REVERSED = {"Add": 0, "Sum": 0, "Sub": 7, "Mul": 2, "Div": 8, "Max": 4, "Min": 5}
"""Of ncnn's BinaryOp, with the second operand before the first."""


def _binary(translator: Translator, node: OnnxNode) -> None:
    at_run_time = translator.graph.run_time_inputs(node)
    if len(node.inputs) == 1:
        translator.alias(node.output, node.inputs[0])
    elif len(node.inputs) != 2:
        _several(translator, node)
    elif len(at_run_time) == 2:
        _of_two(translator, node)
    else:
        _with_constant(translator, node)


def _of_two(translator: Translator, node: OnnxNode) -> None:
    rank = len(translator.shape(node.output))
    blobs = [_aligned(translator, node, tensor, rank) for tensor in node.inputs]
    translator.emit("BinaryOp", blobs, node.output, {0: _CODES[node.op]})


def _aligned(translator: Translator, node: OnnxNode, tensor: str, rank: int) -> str:
    """An operand with as many dimensions as the result: ncnn would add those that lack behind."""
    shape = translator.shape(tensor)
    return translator.read(node, tensor, (1,) * (rank - len(shape)) + shape)


def _several(translator: Translator, node: OnnxNode) -> None:
    """A sum of many tensors of one shape."""
    shapes = {translator.graph.shapes[tensor] for tensor in node.inputs}
    if (
        node.op != "Sum"
        or len(translator.graph.run_time_inputs(node)) != len(node.inputs)
        or len(shapes) != 1
    ):
        translator.refuse(node, f"it has {len(node.inputs)} operands")
    blobs = [translator.read(node, tensor) for tensor in node.inputs]
    translator.emit("Eltwise", blobs, node.output, {0: 1})


def _with_constant(translator: Translator, node: OnnxNode) -> None:
    place = 0 if node.inputs[0] in translator.graph.constants else 1
    constant, tensor = translator.graph.constants[node.inputs[place]], node.inputs[1 - place]
    shape = translator.shape(node.output)
    code = (_REVERSED if place == 0 else _CODES)[node.op]
    if constant.size == 1:
        blob = translator.read(node, tensor, shape)
        value = float(constant.reshape(-1)[0])
        translator.emit("BinaryOp", [blob], node.output, {0: code, 1: 1, 2: value})
        return
    aligned = _aligned_constant(constant, shape)
    if aligned is None:
        translator.refuse(node, f"its constant has the shape {constant.shape}")
    blob = _aligned(translator, node, tensor, len(shape))
    flat = aligned.reshape(-1)
    whole = _is_same_size(translator, node) and per_outermost(aligned.shape, flat.size, shape)
    if whole and code == _CODES["Mul"]:
        translator.emit("Scale", [blob], node.output, {0: flat.size, 1: 0}, weights=(flat,))
    elif whole and code in (_CODES["Add"], _CODES["Sub"]):
        flat = flat if code == _CODES["Add"] else -flat
        translator.emit("Bias", [blob], node.output, {0: flat.size}, weights=(flat,))
    else:
        held = translator.emit_constant(f"{blob}:constant", aligned)
        blobs = [held, blob] if place == 0 else [blob, held]
        translator.emit("BinaryOp", blobs, node.output, {0: _CODES[node.op]})


def _is_same_size(translator: Translator, node: OnnxNode) -> bool:
    """True where the run-time operand has the shape of the result."""
    (tensor,) = translator.graph.run_time_inputs(node)
    return translator.graph.size(tensor) == translator.graph.size(node.output)


def _aligned_constant(constant: Array, shape: tuple[int, ...]) -> Array | None:
    """A constant with the dimensions of a blob; None where it has a batch."""
    plain = np.ascontiguousarray(constant, np.float32)
    while plain.ndim > len(shape) and plain.shape[0] == 1:
        plain = plain[0]
    if plain.ndim > len(shape):
        return None
    return plain.reshape((1,) * (len(shape) - plain.ndim) + plain.shape)


ARITHMETIC: dict[str, Operator] = dict.fromkeys(_CODES, _binary)
