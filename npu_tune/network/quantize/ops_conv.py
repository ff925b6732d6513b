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
    if min(before) < 0:
        raise unsupported_error(node, "it has negative pads")
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


def _bias(lowering: Lowering, node: OnnxNode, channels: int) -> Array:
    if len(node.inputs) < 3 or not node.inputs[2]:
        return np.zeros(channels, np.float32)
    value = lowering.graph.constant(node, 2)
    if value is None:
        raise unsupported_error(node, "its bias is computed at run time")
    if value.size not in (1, channels):
        raise unsupported_error(node, "its addend is no bias per output")
    return as_float32(np.broadcast_to(value.reshape(-1), (channels,)))


def _constant_weights(lowering: Lowering, node: OnnxNode) -> Array:
    weights = lowering.graph.constant(node, 1)
    if weights is None:
        raise unsupported_error(node, "its weights are computed at run time")
    return weights


def convolution(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Conv: dense, depthwise or grouped."""
    weights = _constant_weights(lowering, node)
    if weights.ndim != 4:
        raise unsupported_error(node, f"it has {weights.ndim - 2} spatial dimensions")
    window = window_of(lowering, node, (weights.shape[2], weights.shape[3]))
    bias = _bias(lowering, node, weights.shape[0])
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


def transposed_convolution(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers ConvTranspose; where TFLite cannot pad, the whole output is computed and cropped."""
    weights = _constant_weights(lowering, node)
    strides, pads = node.ints("strides", (1, 1)), node.ints("pads", (0, 0, 0, 0))
    auto_pad = node.attributes.get("auto_pad", b"NOTSET")
    dilated = any(size != 1 for size in node.ints("dilations", (1, 1)))
    if weights.ndim != 4 or node.attributes.get("group", 1) != 1 or dilated:
        raise unsupported_error(node, "only two-dimensional ones without groups and dilation can")
    if auto_pad != b"NOTSET" or "output_shape" in node.attributes:
        raise unsupported_error(node, "its pads are not stated")
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    target = lowering.write(node.output, CHANNELS_LAST)
    n, height, width, _ = lowering.shape(source)
    whole = [
        (size - 1) * stride + kernel
        for size, stride, kernel in zip((height, width), strides, weights.shape[2:], strict=True)
    ]
    wanted = lowering.shape(target)
    excess = [max(full - size, 0) for full, size in zip(whole, wanted[1:3], strict=True)]
    is_same = wanted[1:3] == (height * strides[0], width * strides[1]) and pads[:2] == tuple(
        total // 2 for total in excess
    )
    fits = all(
        full >= size + pad for full, size, pad in zip(whole, wanted[1:3], pads, strict=False)
    )
    if not fits and not is_same:
        raise unsupported_error(node, "its output padding exceeds what the kernel reaches")
    result = target
    if not is_same and tuple(whole) != wanted[1:3]:
        result = lowering.temporary(f"{target}/whole", (n, *whole, wanted[3]), like=target)
    inputs = [
        lowering.indices(f"{target}/shape", lowering.shape(result)),
        lowering.weights(f"{target}/weights", weights.transpose(1, 2, 3, 0), channel_axis=0),
        source,
        lowering.bias(f"{target}/bias", _bias(lowering, node, weights.shape[1])),
    ]
    lowering.emit(
        "TRANSPOSE_CONV",
        inputs,
        [result],
        Padding=0 if is_same else 1,
        StrideH=strides[0],
        StrideW=strides[1],
    )
    if result != target:
        begin = (0, pads[0], pads[1], 0)
        emit_slice(lowering, result, target, begin, (1, 1, 1, 1))


def emit_slice(
    lowering: Lowering,
    source: str,
    target: str,
    begin: tuple[int, ...],
    steps: tuple[int, ...],
) -> None:
    """Slices ``source`` from ``begin`` on, to the shape of ``target``."""
    end = tuple(
        first + (size - 1) * step + 1
        for first, size, step in zip(begin, lowering.shape(target), steps, strict=True)
    )
    inputs = [
        source,
        lowering.indices(f"{target}/begin", begin),
        lowering.indices(f"{target}/end", end),
        lowering.indices(f"{target}/steps", steps),
    ]
    lowering.emit("STRIDED_SLICE", inputs, [target])


def fully_connected(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Gemm; weights are stored as outputs x inputs."""
    weights = _constant_weights(lowering, node)
    if node.attributes.get("transA", 0):
        raise unsupported_error(node, "its first input is transposed")
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
        lowering.bias(f"{target}/bias", _bias(lowering, node, weights.shape[0])),
    ]
    lowering.emit("FULLY_CONNECTED", inputs, [target]).channel_order = order
