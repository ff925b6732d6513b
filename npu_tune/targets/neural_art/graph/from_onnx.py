"""ONNX nodes as steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from npu_tune.network.quantize.graph import Node
from npu_tune.targets.neural_art.graph import operations as ops
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.builder import Builder, Trait
from npu_tune.targets.neural_art.graph.operations import RUN_TIME_WEIGHTS

_Handler = Callable[[Builder, Node], None]


def walk(builder: Builder) -> None:
    """Turns every node into steps of the builder."""
    for node in builder.graph.nodes:
        handler = _HANDLERS.get(node.op)
        if handler is None or not builder.run_time(node):
            builder.software(node, _REASONS.get(node.op, f"no unit computes {node.op}"))
        else:
            handler(builder, node)


def _conv(builder: Builder, node: Node) -> None:
    weights = builder.graph.constant(node, 1)
    if weights is None:
        builder.software(node, RUN_TIME_WEIGHTS)
        return
    order = axes.letters(weights.ndim, channels_last=False)
    if weights.ndim not in (3, 4) or order is None:
        builder.software(node, f"it has {weights.ndim - 2} spatial dimensions")
        return
    transposed = node.op == "ConvTranspose"
    groups = int(node.attributes.get("group", 1))
    outputs = weights.shape[1] * groups if transposed else weights.shape[0]
    biased = len(node.inputs) > 2 and node.inputs[2] != ""
    ops.convolution(
        builder,
        node,
        source=node.inputs[0],
        order=order,
        weights=builder.weights(
            weights, channel_axis=int(transposed), bias_channels=outputs if biased else 0
        ),
        kernel=ops.pair(weights.shape[2:]),
        stride=ops.pair(node.ints("strides", (1, 1))),
        dilation=ops.pair(node.ints("dilations", (1, 1))),
        groups=groups,
    )


def _gemm(builder: Builder, node: Node) -> None:
    weights = builder.graph.constant(node, 1)
    bias_is_known = len(node.inputs) < 3 or node.inputs[2] in ("", *builder.graph.constants)
    if weights is None or not bias_is_known:
        builder.software(node, RUN_TIME_WEIGHTS)
        return
    if node.attributes.get("transA", 0):
        builder.software(node, "its input is transposed")
        return
    outputs, inner = weights.shape if node.attributes.get("transB", 0) else weights.shape[::-1]
    axis = weights.shape.index(outputs) if inner != outputs else 0
    biased = len(node.inputs) > 2 and node.inputs[2] != ""
    ops.product(
        builder,
        node,
        source=node.inputs[0],
        weights=builder.weights(
            weights, channel_axis=axis, bias_channels=outputs if biased else 0
        ),
        inner=inner,
    )


def _matmul(builder: Builder, node: Node) -> None:
    weights = builder.graph.constant(node, 1)
    if weights is None:
        known = builder.graph.constant(node, 0) is not None
        builder.software(
            node, RUN_TIME_WEIGHTS if known else "both factors are computed at run time"
        )
    elif weights.ndim != 2:
        builder.software(node, "its weights are no single matrix")
    else:
        ops.product(
            builder,
            node,
            source=node.inputs[0],
            weights=builder.weights(weights, channel_axis=1),
            inner=weights.shape[0],
        )


def _pool(builder: Builder, node: Node) -> None:
    order = axes.letters(len(builder.shape(node.inputs[0])), channels_last=False)
    if order is None or len(order) < 3:
        builder.software(node, "it has no one or two spatial dimensions")
        return
    rank = len(order) - 2
    ops.pool(
        builder,
        node,
        order=order,
        kernel=ops.pair(node.ints("kernel_shape")),
        stride=ops.pair(node.ints("strides", (1,) * rank)),
        dilation=ops.pair(node.ints("dilations", (1,) * rank)),
    )


def _global_pool(builder: Builder, node: Node) -> None:
    rank = len(builder.shape(node.inputs[0]))
    ops.reduction(builder, node, range(2, rank), is_mean=node.op == "GlobalAveragePool")


def _reduce(builder: Builder, node: Node) -> None:
    given = builder.graph.constant(node, 1)
    reduced: tuple[int, ...] | None = node.ints("axes") or None
    if given is not None:
        reduced = tuple(int(axis) for axis in given.reshape(-1))
    if reduced is None and node.attributes.get("noop_with_empty_axes", 0):
        builder.view(node.inputs[0], node.output)
    elif len(builder.run_time(node)) > 1:
        builder.software(node, "its dimensions are computed at run time")
    else:
        ops.reduction(builder, node, reduced, is_mean=node.op == "ReduceMean")


def _view(builder: Builder, node: Node) -> None:
    builder.view(builder.run_time(node)[0], node.output)


def _transpose(builder: Builder, node: Node) -> None:
    rank = len(builder.shape(node.inputs[0]))
    builder.transpose(node, node.ints("perm") or tuple(range(rank))[::-1])


def _activation(builder: Builder, node: Node, function: str) -> None:
    if len(builder.run_time(node)) > 1:
        builder.software(node, "its parameters are computed at run time")
    else:
        builder.activation(node, function)


def _arithmetic(builder: Builder, node: Node, function: str) -> None:
    ops.arithmetic(builder, node, function)


def _pow(builder: Builder, node: Node) -> None:
    exponent = builder.graph.constant(node, 1)
    if exponent is not None and exponent.size == 1:
        builder.activation(node, "lut")
    else:
        builder.software(node, "its exponent is no single number")


def _pad(builder: Builder, node: Node) -> None:
    amounts = _given_ints(builder, node, "pads", 1)
    value = builder.graph.constant(node, 2)
    zero = float(node.attributes.get("value", 0.0)) == 0.0 and (value is None or not np.any(value))
    zero = zero and node.attributes.get("mode", "constant") == "constant"
    source = node.inputs[0]
    if builder.shape(source) == builder.shape(node.output):
        builder.view(source, node.output)
        return
    traits = []
    if zero and amounts is not None:
        padded = {
            axis for axis, (b, a) in enumerate(np.reshape(amounts, (2, -1)).T) if b > 0 or a > 0
        }
        roles = builder.roles(source) or builder.usual(len(builder.shape(source))) or ""
        # Negative amounts cut, and no convolution does that.
        if min(amounts) >= 0 and all(axis < len(roles) and roles[axis] in "HW" for axis in padded):
            traits = [Trait.ZERO_PAD]
    builder.copy(node, [source], node.output, traits=traits)


def _given_ints(
    builder: Builder, node: Node, attribute: str, position: int
) -> tuple[int, ...] | None:
    """Integers that are an attribute in old operator sets and an input in newer ones."""
    if attribute in node.attributes:
        return node.ints(attribute)
    value = builder.graph.constant(node, position)
    return None if value is None else tuple(int(x) for x in value.reshape(-1))


def _concat(builder: Builder, node: Node) -> None:
    sources = builder.run_time(node)
    if len(node.inputs) == 1:
        builder.view(sources[0], node.output)
    else:
        builder.copy(node, sources, node.output)


def _move(builder: Builder, node: Node) -> None:
    """Parts, repetitions and rearrangements of one tensor."""
    source = node.inputs[0]
    if source not in builder.run_time(node) or len(builder.run_time(node)) > 1:
        builder.software(node, "what it moves is decided at run time")
        return
    for target in node.outputs:
        if target and builder.is_read(target):
            if builder.shape(source) == builder.shape(target) and node.op not in _SHUFFLING:
                builder.view(source, target)
            else:
                builder.copy(node, [source], target)


_SHUFFLING = frozenset({"Gather", "ReverseSequence", "DepthToSpace", "SpaceToDepth"})
"""Copies that may change something although the shape stays the same."""


def _resize(builder: Builder, node: Node) -> None:
    mode = node.attributes.get("mode", "nearest")
    if builder.shape(node.inputs[0]) == builder.shape(node.output):
        builder.view(node.inputs[0], node.output)
    elif mode == "nearest":
        builder.copy(node, [node.inputs[0]], node.output)
    else:
        builder.software(node, f"no unit interpolates ({mode})")


_RELU = ("Relu", "Clip", "LeakyRelu", "PRelu", "ThresholdedRelu")
_LUT = [
    "Sigmoid",
    "Tanh",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Gelu",
    "Erf",
    "Elu",
    "Selu",
    "Celu",
    "Softplus",
    "Softsign",
    "Mish",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Abs",
    "Neg",
    "Sin",
    "Cos",
    "Tan",
    "Asin",
    "Acos",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Acosh",
    "Atanh",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Shrink",
]
_VIEWS = [
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Cast",
    "CastLike",
    "QuantizeLinear",
    "DequantizeLinear",
]
_MOVES = ["Split", "Slice", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth"]

_HANDLERS: dict[str, _Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "BatchNormalization": ops.scale_and_offset,
    "Transpose": _transpose,
    "Pad": _pad,
    "Concat": _concat,
    "Resize": _resize,
    "Upsample": _resize,
    "Pow": _pow,
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_MOVES, _move),
    **{op: partial(_activation, function="relu") for op in _RELU},
    **{op: partial(_activation, function="lut") for op in _LUT},
    **{
        op: partial(_arithmetic, function=function)
        for op, function in {
            "Add": "add",
            "Sum": "add",
            "Sub": "sub",
            "Mul": "mul",
            "Div": "div",
            "Max": "max",
            "Min": "min",
            "Mean": "mean",
        }.items()
    },
}

_REASONS = {
    "Softmax": "it normalizes over all channels",
    "LogSoftmax": "it normalizes over all channels",
    "LRN": "it normalizes over neighbouring channels",
    "LayerNormalization": "it normalizes with means of the values themselves",
    "InstanceNormalization": "it normalizes with means of the values themselves",
    "GroupNormalization": "it normalizes with means of the values themselves",
}
