"""Imports TFLite operators, one function per kind of operator."""

from __future__ import annotations

import math
from functools import partial

from npu_tune.errors import ModelError
from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.neural_art.graph import elementwise, moves, operators, software, windows
from npu_tune.targets.neural_art.graph.builder import Builder, Handler


def _fused_activation(node: OnnxNode) -> str:
    name = str(node.attributes.get("fused_activation_function", "NONE"))
    if name == "NONE":
        return ""
    return "relu" if name.startswith("RELU") else "lut"


def _stride(node: OnnxNode) -> windows.Pair:
    return int(node.attributes["stride_h"]), int(node.attributes["stride_w"])


def _conv(builder: Builder, node: OnnxNode) -> None:
    transposed, depthwise = node.op == "TRANSPOSE_CONV", node.op == "DEPTHWISE_CONV_2D"
    place = 2 if transposed else 0
    weights = windows.constant_weights(builder, node, source=place)
    if weights is None:
        return
    source = node.inputs[place]
    bias = node.inputs[3 if transposed else 2 :]
    biased = bias not in ([], [""])
    axis = 3 if depthwise else 0
    channels = builder.shape(source)[3]
    windows.convolution(
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


def _fully_connected(builder: Builder, node: OnnxNode) -> None:
    weights = windows.constant_weights(builder, node)
    if weights is None:
        return
    biased = len(node.inputs) > 2 and node.inputs[2] != ""
    windows.product(
        builder,
        node,
        source=node.inputs[0],
        weights=builder.weights(
            weights, channel_axis=0, bias_channels=weights.shape[0] if biased else 0
        ),
        inner=weights.shape[1],
        activation=_fused_activation(node),
    )


def _pool(builder: Builder, node: OnnxNode) -> None:
    windows.pool(
        builder,
        node,
        order="NHWC",
        kernel=(int(node.attributes["filter_height"]), int(node.attributes["filter_width"])),
        stride=_stride(node),
        activation=_fused_activation(node),
    )


def _value(builder: Builder, node: OnnxNode, position: int) -> Array | None:
    """The value of a constant; None if it is computed, and be it of constants alone.

    Nodes that no input decides are replaced by one number that stands for all elements.
    """
    value = builder.graph.constant(node, position)
    is_stand_in = value is not None and value.ndim > 0 and not any(value.strides)
    return None if is_stand_in else value


def _reduce(builder: Builder, node: OnnxNode) -> None:
    reduced = _value(builder, node, 1)
    if reduced is None:
        builder.software(node, "its dimensions are computed at run time")
    else:
        axes = [int(axis) for axis in reduced.reshape(-1)]
        windows.reduction(builder, node, axes, is_mean=node.op == "MEAN")


def _view(builder: Builder, node: OnnxNode) -> None:
    builder.view(node.inputs[0], node.output)


def _reshape(builder: Builder, node: OnnxNode) -> None:
    _repair_shape(builder, node.inputs[0], node.output)
    builder.view(node.inputs[0], node.output)


def _repair_shape(builder: Builder, source: str, target: str) -> None:
    """Corrects a size that a converter wrote as 1 because it is open until run time."""
    shape = builder.shape(target)
    factor, rest = divmod(math.prod(builder.shape(source)), math.prod(shape))
    units = [axis for axis, size in enumerate(shape) if size == 1]
    if factor > 1 and rest == 0 and units:
        axis = units[-1]
        builder.graph.shapes[target] = (*shape[:axis], factor, *shape[axis + 1 :])
        builder.notes["the open size of a reshape was found from the sizes before it"] += 1
    elif factor != 1 or rest:
        raise ModelError(
            f"The shape {shape} of the tensor {target!r} of {builder.network.name!r} is not known "
            "before run time.",
            remedy="Convert the network with a fixed shape for every input.",
            tensor=target,
        )


def _quantize(builder: Builder, node: OnnxNode) -> None:
    source = node.inputs[0]
    if node.op == "QUANTIZE":
        builder.widen(source, node.output)
        if not builder.network.tensors[source].dtype.startswith("float"):
            builder.notes["a change of scale between integers costs nothing"] += 1
    builder.view(source, node.output)


def _transpose(builder: Builder, node: OnnxNode) -> None:
    permutation = _value(builder, node, 1)
    if permutation is None:
        builder.software(node, "its order is computed at run time")
    else:
        builder.transpose(node, tuple(int(axis) for axis in permutation))


def _arithmetic(builder: Builder, node: OnnxNode, function: str) -> None:
    elementwise.arithmetic(builder, node, function, activation=_fused_activation(node))


def _pad(builder: Builder, node: OnnxNode) -> None:
    moves.pad(builder, node, _value(builder, node, 1), zeros=node.op == "PAD")


def _concat(builder: Builder, node: OnnxNode) -> None:
    ranks = {len(builder.shape(name)) for name in (*node.inputs, node.output)}
    if node.op == "CONCATENATION" and len(ranks) == 1:
        # Where the shape of an input was repaired, the file's shape of the result is wrong too.
        axis = int(node.attributes["axis"]) % ranks.pop()
        shape = list(builder.shape(node.inputs[0]))
        shape[axis] = sum(builder.shape(name)[axis] for name in node.inputs)
        builder.graph.shapes[node.output] = tuple(shape)
    moves.concatenation(builder, node)


def _resize(builder: Builder, node: OnnxNode) -> None:
    nearest = node.op == "RESIZE_NEAREST_NEIGHBOR"
    moves.resize(builder, node, "nearest" if nearest else "linear")


def _softmax(builder: Builder, node: OnnxNode) -> None:
    builder.graph.shapes[node.output] = builder.shape(node.inputs[0])
    software.unknown(builder, node)


HANDLERS: dict[str, Handler] = {
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
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RESIZE_BILINEAR": _resize,
    "POW": elementwise.power,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _softmax,
    **dict.fromkeys(operators.TFLITE_VIEWS, _view),
    **dict.fromkeys(operators.TFLITE_CUTS, partial(moves.rearrangement, may_keep_shape=False)),
    **dict.fromkeys(operators.TFLITE_SHUFFLES, partial(moves.rearrangement, may_keep_shape=True)),
    **dict.fromkeys(operators.TFLITE_CLIPPING, partial(elementwise.function, kind="relu")),
    **dict.fromkeys(operators.TFLITE_FUNCTIONS, partial(elementwise.function, kind="lut")),
    **{
        op: partial(_arithmetic, function=name) for op, name in operators.TFLITE_ARITHMETIC.items()
    },
}
