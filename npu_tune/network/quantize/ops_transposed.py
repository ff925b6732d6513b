"""Lowers transposed convolutions."""

from __future__ import annotations

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.network.quantize.layout import CHANNELS_LAST
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_conv import bias_of
from npu_tune.network.quantize.ops_shape import emit_slice


def transposed_convolution(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers ConvTranspose; where TFLite cannot pad, the whole output is computed and cropped."""
    weights = lowering.graph.constants[node.inputs[1]]
    strides = node.ints("strides", (1, 1))
    dilated = any(size != 1 for size in node.ints("dilations", (1, 1)))
    if weights.ndim != 4 or node.attributes.get("group", 1) != 1 or dilated:
        raise unsupported_error(
            node, "only those of one or two dimensions, without groups and dilation, can"
        )
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    target = lowering.write(node.output, CHANNELS_LAST)
    n, height, width, _ = lowering.shape(source)
    whole = [
        (size - 1) * stride + kernel
        for size, stride, kernel in zip((height, width), strides, weights.shape[2:], strict=True)
    ]
    wanted = lowering.shape(target)
    before = _cropped_before(node, whole, wanted[1:3])
    excess = [max(full - size, 0) for full, size in zip(whole, wanted[1:3], strict=True)]
    is_same = wanted[1:3] == (height * strides[0], width * strides[1]) and before == tuple(
        total // 2 for total in excess
    )
    fits = all(
        full >= size + pad for full, size, pad in zip(whole, wanted[1:3], before, strict=True)
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
        lowering.bias(f"{target}/bias", bias_of(lowering, node, weights.shape[1])),
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
        emit_slice(lowering, result, target, (0, *before, 0), (1, 1, 1, 1))


def _cropped_before(node: OnnxNode, whole: list[int], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The rows and columns of the whole output of a ConvTranspose that are cut at the start.

    Where the output's size is stated, the pads follow from it (ONNX's definition of the operator).
    """
    mode = node.attributes.get("auto_pad", b"NOTSET")
    added = node.ints("output_padding", (0, 0))
    if mode == b"VALID":
        return (0, 0)
    if mode == b"NOTSET" and "output_shape" not in node.attributes:
        return node.ints("pads", (0, 0, 0, 0))[:2]
    if any(added) and "output_shape" not in node.attributes:
        raise unsupported_error(node, "its auto_pad and its output_padding contradict each other")
    totals = [
        max(full + more - size, 0) for full, more, size in zip(whole, added, wanted, strict=True)
    ]
    if mode == b"SAME_UPPER":
        return tuple(total // 2 for total in totals)
    return tuple(total - total // 2 for total in totals)
