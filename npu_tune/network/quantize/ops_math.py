"""Lowers element-wise arithmetic, activations and softmax."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize import layout
from npu_tune.network.quantize.layout import CHANNELS_LAST, Permutation
from npu_tune.network.quantize.lowering import Lowering, unsupported_error

_BINARY = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Max": "MAXIMUM", "Min": "MINIMUM"}
_UNARY = {
    "Relu": "RELU",
    "Sigmoid": "LOGISTIC",
    "Tanh": "TANH",
    "HardSwish": "HARD_SWISH",
}
_NO_LIMIT = 1e30
_NARROWEST = 2.0**-20
"""Share of the range of a tensor that codes clip to; kernels rescale by at most 2**30."""


def binary(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers arithmetic of two tensors, with ONNX's rules of broadcasting."""
    shapes = [lowering.graph.shapes[name] for name in node.inputs]
    result_shape = lowering.graph.shapes[node.output]
    order = common_order(lowering, node)
    operands = [
        _operand(lowering, name, shape, len(result_shape), order)
        for name, shape in zip(node.inputs, shapes, strict=True)
    ]
    lowering.emit(_BINARY[node.op], operands, [lowering.write(node.output, order)])


def common_order(lowering: Lowering, node: OnnxNode) -> Permutation:
    """The permutation that moves least data: that of the largest input of full rank."""
    rank = len(lowering.graph.shapes[node.output])
    candidates = [
        name
        for name in lowering.graph.run_time_inputs(node)
        if len(lowering.graph.shapes[name]) == rank
    ]
    if not candidates:
        return layout.identity(rank)
    largest = max(lowering.graph.size(name) for name in candidates)
    orders = [
        lowering.permutation(name) for name in candidates if lowering.graph.size(name) == largest
    ]
    return CHANNELS_LAST if CHANNELS_LAST in orders else orders[0]


def _operand(
    lowering: Lowering, name: str, shape: tuple[int, ...], rank: int, order: Permutation
) -> str:
    """An input of a broadcasting operator, reshaped to the rank of the result."""
    full_shape = (1,) * (rank - len(shape)) + shape
    value = lowering.graph.constants.get(name)
    if value is not None:
        return lowering.constant(name, as_float32(value).reshape(full_shape).transpose(order))
    if len(shape) == rank:
        return lowering.read(name, order)
    tensor = lowering.read(name, layout.identity(len(shape)))
    if layout.same_data(full_shape, layout.identity(rank), order):
        return lowering.reshape_tensor(tensor, layout.permute(full_shape, order))
    widened = f"{name}/widened"
    lowering.graph.shapes[widened] = full_shape
    lowering.alias(widened, lowering.reshape_tensor(tensor, full_shape), layout.identity(rank))
    return lowering.read(widened, order)


def divide(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Div by a constant to a multiplication."""
    divisor = lowering.graph.constant(node, 1)
    if divisor is None:
        raise unsupported_error(node, "its divisor is computed at run time")
    reciprocal = lowering.graph.add_constant(
        f"{node.output}/reciprocal", as_float32(1.0 / divisor)
    )
    binary(lowering, OnnxNode("Mul", node.name, [node.inputs[0], reciprocal], node.outputs))


def unary(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers activations without parameters."""
    name = node.inputs[0]
    source = lowering.read(name)
    target = lowering.write(node.output, lowering.permutation(name))
    lowering.emit(_UNARY[node.op], [source], [target])


def leaky_relu(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers LeakyRelu."""
    name = node.inputs[0]
    source = lowering.read(name)
    target = lowering.write(node.output, lowering.permutation(name))
    alpha = float(node.attributes.get("alpha", 0.01))
    lowering.emit("LEAKY_RELU", [source], [target], Alpha=alpha)


def elu(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Elu with an alpha of one."""
    name = node.inputs[0]
    source = lowering.read(name)
    lowering.emit("ELU", [source], [lowering.write(node.output, lowering.permutation(name))])


def prelu(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers PRelu with one slope, or one per channel."""
    name, slope = node.inputs[0], lowering.graph.constants[node.inputs[1]]
    order = lowering.permutation(name)
    full_shape = (1,) * (len(order) - slope.ndim) + slope.shape
    stored = as_float32(slope).reshape(full_shape).transpose(order)
    if stored.shape[0] != 1:
        raise unsupported_error(node, "its slope varies along the batch")
    target = lowering.write(node.output, order)
    alpha = lowering.constant(f"{target}/alpha", stored[0])
    lowering.emit("PRELU", [lowering.read(name), alpha], [target])


def _limits(lowering: Lowering, node: OnnxNode) -> tuple[float, float]:
    """Lower and upper limit of a Clip, which are inputs since operator set 11."""
    limits = []
    for position, attribute, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = node.attributes.get(attribute, default)
        value = lowering.graph.constant(node, position)
        if value is not None:
            given = value.reshape(-1)[0]
        # Exporters write the largest float32 number for no limit.
        limits.append(default if float(given) * np.sign(default) >= _NO_LIMIT else float(given))
    return limits[0], limits[1]


def clip(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Clip to RELU, RELU6, or a range of codes that saturates at the limits."""
    low, high = _limits(lowering, node)
    name = node.inputs[0]
    source, order = lowering.read(name), lowering.permutation(name)
    target = lowering.write(node.output, order)
    if (low, high) == (0.0, np.inf):
        lowering.emit("RELU", [source], [target])
    elif (low, high) == (0.0, 6.0) and node.output not in lowering.graph.ranges:
        lowering.emit("RELU6", [source], [target])
    elif low <= 0.0 <= high and high - low > _NARROWEST * _span(lowering, name):
        seen = lowering.ranges[node.output]
        lowering.emit("QUANTIZE", [source], [target])
        lowering.pin(
            target,
            low if np.isfinite(low) else min(seen[0], 0.0),
            high if np.isfinite(high) else max(seen[1], 0.0),
        )
    else:
        _clip_by_comparing(lowering, source, target, low, high)


def _span(lowering: Lowering, name: str) -> float:
    low, high = lowering.ranges[name]
    return high - low


def _clip_by_comparing(
    lowering: Lowering, source: str, target: str, low: float, high: float
) -> None:
    """Clips to limits that leave zero out, or next to nothing in, as no range of codes does."""
    ones = (1,) * len(lowering.shape(source))
    steps = [
        (op, limit) for op, limit in (("MAXIMUM", low), ("MINIMUM", high)) if np.isfinite(limit)
    ]
    for op, limit in steps:
        result = target
        if (op, limit) != steps[-1]:
            result = lowering.temporary(f"{target}/limited", lowering.shape(source), like=source)
        constant = lowering.constant(f"{result}/limit", np.full(ones, limit, np.float32))
        lowering.emit(op, [source, constant], [result])
        source = result


def hard_sigmoid(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers HardSigmoid, as ``slope * clip(x + offset / slope, 0, 1 / slope)``."""
    slope = float(node.attributes.get("alpha", 0.2))
    offset = float(node.attributes.get("beta", 0.5))
    if slope <= 0.0:
        raise unsupported_error(node, "its slope is not positive")
    name = node.inputs[0]
    source, order = lowering.read(name), lowering.permutation(name)
    target = lowering.write(node.output, order)
    ones = (1,) * len(order)
    shifted = lowering.temporary(f"{target}/shifted", lowering.shape(source), like=source)
    lowering.pin(shifted, 0.0, 1.0 / slope)
    constant = lowering.constant(f"{target}/offset", np.full(ones, offset / slope, np.float32))
    lowering.emit("ADD", [source, constant], [shifted])
    factor = lowering.constant(f"{target}/slope", np.full(ones, slope, np.float32))
    lowering.emit("MUL", [shifted, factor], [target])


def softmax(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Softmax; TFLite computes it along the last dimension."""
    name = node.inputs[0]
    rank = len(lowering.graph.shapes[name])
    default = -1 if lowering.graph.opset >= 13 else 1
    axis = int(node.attributes.get("axis", default)) % rank
    order = lowering.permutation(name)
    if order[-1] != axis:
        order = (*(other for other in order if other != axis), axis)
    source = lowering.read(name, order)
    lowering.emit("SOFTMAX", [source], [lowering.write(node.output, order)], Beta=1.0)
