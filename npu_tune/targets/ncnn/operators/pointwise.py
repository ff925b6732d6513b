"""Operators on each element by itself, and normalisations."""

from __future__ import annotations

import math

import numpy as np

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.ncnn.program import Parameter, Weights
from npu_tune.targets.ncnn.translator import Operator, Translator

_FLOAT = np.finfo(np.float32)


def clip_limits(translator: Translator, node: OnnxNode) -> tuple[float, float]:
    """The limits of a Clip, which are attributes or constants."""
    limits = [
        float(node.attributes.get("min", -math.inf)),
        float(node.attributes.get("max", math.inf)),
    ]
    for place in (1, 2):
        if place < len(node.inputs) and node.inputs[place]:
            value = translator.graph.constant(node, place)
            if value is None:
                translator.refuse(node, "its limits are computed at run time")
            limits[place - 1] = float(value.reshape(-1)[0])
    return max(limits[0], float(_FLOAT.min)), min(limits[1], float(_FLOAT.max))


def gate_of(translator: Translator, node: OnnxNode) -> OnnxNode | None:
    """The product of what a node reads and what it computes, if nothing else reads the latter."""
    readers = translator.layered.readers.get(node.output, ())
    if len(readers) != 1 or node.output in translator.graph.outputs:
        return None
    only = readers[0]
    both = {node.inputs[0], node.output}
    return only if only.op == "Mul" and set(only.inputs) == both else None


def _unary(translator: Translator, node: OnnxNode, kind: str, *values: Parameter) -> None:
    blob = translator.read(node, node.inputs[0])
    translator.emit(kind, [blob], node.output, dict(enumerate(values)))


def _gated(translator: Translator, node: OnnxNode, alone: str, gated: str, *values: float) -> None:
    """One layer for x * f(x), where that is all that f(x) is for."""
    gate = gate_of(translator, node)
    if gate is None:
        _unary(translator, node, alone, *values)
        return
    blob = translator.read(node, node.inputs[0])
    translator.emit(gated, [blob], gate.output, dict(enumerate(values)))
    translator.skip(gate)


def _relu(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "ReLU")


def _leaky_relu(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "ReLU", float(node.attributes.get("alpha", 0.01)))


def _elu(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "ELU", float(node.attributes.get("alpha", 1.0)))


def _tanh(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "TanH")


def _clip(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "Clip", *clip_limits(translator, node))


def _hard_swish(translator: Translator, node: OnnxNode) -> None:
    _unary(translator, node, "HardSwish", 1 / 6, 0.5)


def _sigmoid(translator: Translator, node: OnnxNode) -> None:
    _gated(translator, node, "Sigmoid", "Swish")


def _hard_sigmoid(translator: Translator, node: OnnxNode) -> None:
    values = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    _gated(translator, node, "HardSigmoid", "HardSwish", *map(float, values))


def _prelu(translator: Translator, node: OnnxNode) -> None:
    slope = translator.graph.constant(node, 1)
    shape = translator.shape(node.output)
    per_channel = None if slope is None else per_outermost(slope.shape, slope.size, shape)
    if slope is None or not (slope.size == 1 or per_channel):
        translator.refuse(node, "it needs one constant slope, or one per channel")
    blob = translator.read(node, node.inputs[0])
    flat = np.ascontiguousarray(slope.reshape(-1), np.float32)
    translator.emit("PReLU", [blob], node.output, {0: flat.size}, weights=(flat,))


def per_outermost(constant: tuple[int, ...], size: int, shape: tuple[int, ...]) -> bool:
    """True where a constant has a value for each index of a blob's first dimension."""
    aligned = (1,) * (len(shape) - len(constant)) + constant
    aligned = aligned[len(aligned) - len(shape) :]
    return size == shape[0] and aligned[0] == size


def _batch_norm(translator: Translator, node: OnnxNode) -> None:
    parts = [translator.graph.constant(node, place) for place in range(1, 5)]
    scale, bias, mean, variance = (
        None if part is None else np.ascontiguousarray(part, np.float32) for part in parts
    )
    if scale is None or bias is None or mean is None or variance is None:
        translator.refuse(node, "its statistics are computed at run time")
    blob = translator.read(node, node.inputs[0])
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    weights: tuple[Weights, ...] = (scale, mean, variance, bias)
    translator.emit("BatchNorm", [blob], node.output, {0: scale.size, 1: epsilon}, weights=weights)


def _lrn(translator: Translator, node: OnnxNode) -> None:
    blob = translator.read(node, node.inputs[0])
    values = {name: float(node.attributes.get(name, default)) for name, default in _LRN.items()}
    translator.emit(
        "LRN",
        [blob],
        node.output,
        {
            0: 0,
            1: int(node.attributes["size"]),
            **dict(zip((2, 3, 4), values.values(), strict=True)),
        },
    )


_LRN = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}


def _softmax(translator: Translator, node: OnnxNode) -> None:
    axis = translator.axis(node, node.inputs[0], int(node.attributes.get("axis", -1)))
    blob = translator.read(node, node.inputs[0])
    # The second parameter says that the axis counts as everywhere else.
    translator.emit("Softmax", [blob], node.output, {0: axis, 1: 1})


def _identity(translator: Translator, node: OnnxNode) -> None:
    translator.alias(node.output, node.inputs[0])


POINTWISE: dict[str, Operator] = {
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Dropout": _identity,
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _identity,
    "LRN": _lrn,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Tanh": _tanh,
}
