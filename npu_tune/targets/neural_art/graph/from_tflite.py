"""TFLite operators as steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from npu_tune.network.quantize.graph import Node
from npu_tune.targets.neural_art.graph import operations as ops
from npu_tune.targets.neural_art.graph.builder import Builder, Trait
from npu_tune.targets.neural_art.graph.operations import RUN_TIME_WEIGHTS

_Handler = Callable[[Builder, Node], None]


def walk(builder: Builder) -> None:
    """Turns every operator into steps of the builder."""
    for node in builder.graph.nodes:
        handler = _HANDLERS.get(node.op)
        if handler is None:
            builder.software(node, _REASONS.get(node.op, f"no unit computes {node.op}"))
        else:
            handler(builder, node)


def _fused_activation(node: Node) -> str:
    name = str(node.attributes.get("fused_activation_function", "NONE"))
    if name == "NONE":
        return ""
    return "relu" if name.startswith("RELU") else "lut"


def _stride(node: Node) -> ops.Pair:
    return int(node.attributes["stride_h"]), int(node.attributes["stride_w"])


def _conv(builder: Builder, node: Node) -> None:
    weights = builder.graph.constant(node, 1)
    if weights is None:
        builder.software(node, RUN_TIME_WEIGHTS)
        return
    transposed, depthwise = node.op == "TRANSPOSE_CONV", node.op == "DEPTHWISE_CONV_2D"
    source = node.inputs[2 if transposed else 0]
    bias_place = 3 if transposed else 2
    biased = len(node.inputs) > bias_place and node.inputs[bias_place] != ""
    axis = 3 if depthwise else 0
    channels = builder.shape(source)[3]
    ops.convolution(
        builder,
        node,
        source=source,
        order="NHWC",
        weights=builder.weights(
            weights, channel_axis=axis, bias_channels=weights.shape[axis] if biased else 0
        ),
        kernel=(weights.shape[1], weights.shape[2]),
        stride=_stride(node),
        dilation=(
            int(node.attributes.get("dilation_hfactor", 1)),
            int(node.attributes.get("dilation_wfactor", 1)),
        ),
        groups=channels if depthwise else 1 if transposed else channels // weights.shape[3],
        activation=_fused_activation(node),
    )


def _fully_connected(builder: Builder, node: Node) -> None:
    weights = builder.graph.constant(node, 1)
    if weights is None:
        builder.software(node, RUN_TIME_WEIGHTS)
        return
    biased = len(node.inputs) > 2 and node.inputs[2] != ""
    ops.product(
        builder,
        node,
        source=node.inputs[0],
        weights=builder.weights(
            weights, channel_axis=0, bias_channels=weights.shape[0] if biased else 0
        ),
        inner=weights.shape[1],
        activation=_fused_activation(node),
    )


def _pool(builder: Builder, node: Node) -> None:
    ops.pool(
        builder,
        node,
        order="NHWC",
        kernel=(int(node.attributes["filter_height"]), int(node.attributes["filter_width"])),
        stride=_stride(node),
        activation=_fused_activation(node),
    )


def _reduce(builder: Builder, node: Node) -> None:
    reduced = builder.graph.constant(node, 1)
    if reduced is None:
        builder.software(node, "its dimensions are computed at run time")
    else:
        axes = [int(axis) for axis in reduced.reshape(-1)]
        ops.reduction(builder, node, axes, is_mean=node.op == "MEAN")


def _view(builder: Builder, node: Node) -> None:
    builder.view(node.inputs[0], node.output)


def _reshape(builder: Builder, node: Node) -> None:
    _repair_shape(builder, node.inputs[0], node.output)
    builder.view(node.inputs[0], node.output)


def _repair_shape(builder: Builder, source: str, target: str) -> None:
    """Finds the size that a converter wrote as 1 because it left it to run time."""
    shape = builder.shape(target)
    factor, rest = divmod(math.prod(builder.shape(source)), math.prod(shape))
    units = [axis for axis, size in enumerate(shape) if size == 1]
    if factor > 1 and rest == 0 and units:
        axis = units[-1]
        builder.graph.shapes[target] = (*shape[:axis], factor, *shape[axis + 1 :])
        builder.notes["open sizes of reshapes were found from the sizes before them"] += 1


def _quantize(builder: Builder, node: Node) -> None:
    if node.op == "QUANTIZE":
        builder.notes["changes of scale between integers cost nothing"] += 1
    builder.view(node.inputs[0], node.output)


def _transpose(builder: Builder, node: Node) -> None:
    permutation = builder.graph.constant(node, 1)
    if permutation is None:
        builder.software(node, "its order is computed at run time")
    else:
        builder.transpose(node, tuple(int(axis) for axis in permutation))


def _activation(builder: Builder, node: Node, function: str) -> None:
    builder.activation(node, function)


def _arithmetic(builder: Builder, node: Node, function: str) -> None:
    ops.arithmetic(builder, node, function, activation=_fused_activation(node))


def _pow(builder: Builder, node: Node) -> None:
    exponent = builder.graph.constant(node, 1)
    if exponent is not None and exponent.size == 1:
        builder.activation(node, "lut")
    else:
        builder.software(node, "its exponent is no single number")


def _pad(builder: Builder, node: Node) -> None:
    amounts = builder.graph.constant(node, 1)
    source = node.inputs[0]
    if builder.shape(source) == builder.shape(node.output):
        builder.view(source, node.output)
        return
    is_map = node.op == "PAD" and len(builder.shape(source)) == 4
    rows_and_columns = amounts is not None and is_map and not np.any(amounts[[0, 3]])
    traits = [Trait.ZERO_PAD] if rows_and_columns else []
    builder.copy(node, [source], node.output, traits=traits)


def _concat(builder: Builder, node: Node) -> None:
    sources = builder.run_time(node)
    target = node.output
    ranks = {len(builder.shape(name)) for name in (*node.inputs, target)}
    if node.op == "CONCATENATION" and len(ranks) == 1:
        axis = int(node.attributes["axis"]) % len(builder.shape(target))
        shape = list(builder.shape(sources[0]))
        shape[axis] = sum(builder.shape(name)[axis] for name in node.inputs)
        builder.graph.shapes[target] = tuple(shape)
    if len(node.inputs) == 1:
        builder.view(sources[0], target)
    else:
        builder.copy(node, sources, target)


def _move(builder: Builder, node: Node) -> None:
    """Parts, repetitions and rearrangements of one tensor."""
    sources = builder.run_time(node)
    if len(sources) != 1:
        builder.software(node, "what it moves is decided at run time")
        return
    for target in node.outputs:
        if target and builder.is_read(target):
            if builder.shape(sources[0]) == builder.shape(target) and node.op not in _SHUFFLING:
                builder.view(sources[0], target)
            else:
                builder.copy(node, sources, target)


_SHUFFLING = frozenset({"GATHER", "GATHER_ND", "REVERSE_V2", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"})
"""Copies that may change something although the shape stays the same."""


def _software_in_place(builder: Builder, node: Node, reason: str) -> None:
    builder.graph.shapes[node.output] = builder.shape(node.inputs[0])
    builder.software(node, reason)


_RELU = ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU"]
_LUT = [
    "LOGISTIC",
    "TANH",
    "HARD_SWISH",
    "ELU",
    "GELU",
    "EXP",
    "LOG",
    "SQRT",
    "RSQRT",
    "SQUARE",
    "ABS",
    "NEG",
    "SIN",
    "COS",
    "SIGN",
    "FLOOR",
    "CEIL",
    "ROUND",
]
_VIEWS = ["SQUEEZE", "EXPAND_DIMS", "CAST"]
_MOVES = [
    "SPLIT",
    "SPLIT_V",
    "SLICE",
    "STRIDED_SLICE",
    "GATHER",
    "GATHER_ND",
    "REVERSE_V2",
    "UNPACK",
    "TILE",
    "BROADCAST_TO",
    "DEPTH_TO_SPACE",
    "SPACE_TO_DEPTH",
    "SPACE_TO_BATCH_ND",
    "BATCH_TO_SPACE_ND",
    "RESIZE_NEAREST_NEIGHBOR",
]
_NORMALIZES = "it normalizes over all channels"

_HANDLERS: dict[str, _Handler] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "TRANSPOSE_CONV": _conv,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "MEAN": _reduce,
    "REDUCE_MAX": _reduce,
    "RESHAPE": _reshape,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _quantize,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "CONCATENATION": _concat,
    "PACK": _concat,
    "POW": _pow,
    "SOFTMAX": partial(_software_in_place, reason=_NORMALIZES),
    "LOG_SOFTMAX": partial(_software_in_place, reason=_NORMALIZES),
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_MOVES, _move),
    **{op: partial(_activation, function="relu") for op in _RELU},
    **{op: partial(_activation, function="lut") for op in _LUT},
    **{
        op: partial(_arithmetic, function=function)
        for op, function in {
            "ADD": "add",
            "ADD_N": "add",
            "SUB": "sub",
            "MUL": "mul",
            "DIV": "div",
            "MAXIMUM": "max",
            "MINIMUM": "min",
            "SQUARED_DIFFERENCE": "square",
        }.items()
    },
}

_REASONS = {
    "L2_NORMALIZATION": "it normalizes with means of the values themselves",
    "LOCAL_RESPONSE_NORMALIZATION": "it normalizes over neighbouring channels",
    "RESIZE_BILINEAR": "no unit interpolates (linear)",
}
