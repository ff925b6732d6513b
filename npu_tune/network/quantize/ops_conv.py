"""Lowers convolutions and fully connected layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxNode, as_float32
from npu_tune.network.quantize.layout import CHANNELS_LAST
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.tflite_graph import TfliteOp

Pair = tuple[int, int]

REFLECT, SYMMETRIC = 0, 1
"""TFLite's codes of mirroring without and with the border elements."""


@dataclass(frozen=True)
class Window:
    """A window that slides over a feature map; pairs are (height, width).

    ``before`` and ``after`` are the rows and columns of padding that give the output's size.
    """

    kernel: Pair
    strides: Pair
    dilations: Pair
    before: Pair
    after: Pair
    is_same: bool

    @property
    def needs_padding(self) -> bool:
        return not self.is_same and any((*self.before, *self.after))

    @property
    def padding_code(self) -> int:
        """TFLite's code: 0 is SAME, 1 is VALID."""
        return 0 if self.is_same else 1


def window_of(lowering: Lowering, node: OnnxNode, kernel: Pair) -> Window:
    """Reads kernel, strides, dilations and pads of a convolution or pooling."""
    sizes = lowering.graph.shapes[node.inputs[0]][2:]
    outputs = lowering.graph.shapes[node.output][2:]
    strides, dilations = node.ints("strides", (1, 1)), node.ints("dilations", (1, 1))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    needed = [
        max((o - 1) * s + span - i, 0)
        for o, s, span, i in zip(outputs, strides, spans, sizes, strict=True)
    ]
    before = _pads_before(node, needed)
    after = [max(total - first, 0) for total, first in zip(needed, before, strict=True)]
    is_same = all(
        o == math.ceil(i / s) and first == total // 2
        for o, i, s, first, total in zip(outputs, sizes, strides, before, needed, strict=True)
    )
    no_pads = not any(before) and not any(after)
    return Window(
        kernel=kernel,
        strides=(strides[0], strides[1]),
        dilations=(dilations[0], dilations[1]),
        before=(before[0], before[1]),
        after=(after[0], after[1]),
        is_same=is_same and not no_pads,
    )


def _pads_before(node: OnnxNode, needed: list[int]) -> tuple[int, ...]:
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    if mode == "SAME_UPPER":
        return tuple(total // 2 for total in needed)
    if mode == "SAME_LOWER":
        return tuple(total - total // 2 for total in needed)
    if mode == "VALID":
        return (0, 0)
    return node.ints("pads", (0, 0, 0, 0))[:2]


def emit_padding(lowering: Lowering, tensor: str, before: Pair, after: Pair) -> str:
    """Adds rows and columns of zeros around a feature map."""
    n, height, width, channels = lowering.shape(tensor)
    shape = (n, height + before[0] + after[0], width + before[1] + after[1], channels)
    target = lowering.temporary(f"{tensor}/padded", shape, like=tensor)
    pads = [(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)]
    lowering.emit("PAD", [tensor, lowering.indices(f"{target}/pads", pads)], [target])
    return target


def bias_of(lowering: Lowering, node: OnnxNode, channels: int) -> Array:
    """The bias of each output channel; zeros if there is none."""
    value = lowering.graph.constant(node, 2)
    if value is None:
        return np.zeros(channels, np.float32)
    return as_float32(np.broadcast_to(value.reshape(-1), (channels,)))


def convolution(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Conv: dense, depthwise or grouped."""
    weights = lowering.graph.constants[node.inputs[1]]
    if weights.ndim != 4:
        raise unsupported_error(node, f"it has {weights.ndim - 2} spatial dimensions")
    window = window_of(lowering, node, (weights.shape[2], weights.shape[3]))
    bias = bias_of(lowering, node, weights.shape[0])
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    if window.needs_padding:
        source = emit_padding(lowering, source, window.before, window.after)
    target = lowering.write(node.output, CHANNELS_LAST)
    groups = int(node.attributes.get("group", 1))
    if groups > 1 and weights.shape[1] > 1:
        _emit_grouped(
            lowering, source, target, weights=weights, bias=bias, window=window, groups=groups
        )
    else:
        _emit_convolution(
            lowering,
            source,
            target,
            weights=weights,
            bias=bias,
            window=window,
            depthwise=groups > 1,
        )


def _emit_convolution(
    lowering: Lowering,
    source: str,
    target: str,
    *,
    weights: Array,
    bias: Array,
    window: Window,
    depthwise: bool = False,
) -> TfliteOp:
    options = {
        "Padding": window.padding_code,
        "StrideH": window.strides[0],
        "StrideW": window.strides[1],
        "DilationHFactor": window.dilations[0],
        "DilationWFactor": window.dilations[1],
    }
    bias_name = lowering.bias(f"{target}/bias", bias)
    if depthwise:
        stored = weights.transpose(1, 2, 3, 0)
        options["DepthMultiplier"] = weights.shape[0] // lowering.shape(source)[3]
        weights_name = lowering.weights(f"{target}/weights", stored, channel_axis=3)
        op = "DEPTHWISE_CONV_2D"
    else:
        stored = weights.transpose(0, 2, 3, 1)
        weights_name = lowering.weights(f"{target}/weights", stored, channel_axis=0)
        op = "CONV_2D"
    return lowering.emit(op, [source, weights_name, bias_name], [target], **options)


def _emit_grouped(
    lowering: Lowering,
    source: str,
    target: str,
    *,
    weights: Array,
    bias: Array,
    window: Window,
    groups: int,
) -> None:
    """Splits the channels, convolves each part and concatenates the results.

    Not every accelerator supports grouped convolutions, but all support these operators.
    """
    *outer, channels = lowering.shape(source)
    parts = [
        lowering.temporary(f"{target}/in{index}", (*outer, channels // groups), like=source)
        for index in range(groups)
    ]
    axis = lowering.indices(f"{target}/axis", 3)
    lowering.emit("SPLIT", [axis, source], parts, NumSplits=groups)
    *outer, channels = lowering.shape(target)
    results = []
    for index, (part, group_weights, group_bias) in enumerate(
        zip(parts, np.split(weights, groups), np.split(bias, groups), strict=True)
    ):
        shape = (*outer, channels // groups)
        result = lowering.temporary(f"{target}/out{index}", shape, like=target)
        op = _emit_convolution(
            lowering, part, result, weights=group_weights, bias=group_bias, window=window
        )
        first = index * weights.shape[1]
        op.channel_order = list(range(first, first + weights.shape[1]))
        results.append(result)
    lowering.emit("CONCATENATION", results, [target], Axis=3)


def fully_connected(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Gemm; weights are stored as outputs x inputs."""
    weights = lowering.graph.constants[node.inputs[1]]
    if not node.attributes.get("transB", 0):
        weights = weights.T
    name = node.inputs[0]
    order = lowering.flat_orders.get(name)
    if order is not None:
        weights = weights[:, order]
    source = lowering.read(name, (0, 1))
    target = lowering.write(node.output)
    inputs = [
        source,
        lowering.weights(f"{target}/weights", weights, channel_axis=0),
        lowering.bias(f"{target}/bias", bias_of(lowering, node, weights.shape[0])),
    ]
    lowering.emit("FULLY_CONNECTED", inputs, [target]).channel_order = order
