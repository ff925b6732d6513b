"""Lowers Resize and Upsample, where TFLite's kernels read the positions that ONNX reads.

Both kernels compute in single precision, in which a position next to an integer may fall to either
side of it; so the positions are computed in single precision here too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.network.quantize.layout import CHANNELS_LAST, Permutation, identity
from npu_tune.network.quantize.lowering import Lowering, unsupported_error

_OPTIONS = ((False, False), (False, True), (True, False))
"""TFLite's options that the kernels know: (aligned corners, half-pixel centres)."""

Positions = NDArray[np.float32]


def resize(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Resize and Upsample to RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""
    name = node.inputs[0]
    before, after = lowering.graph.shapes[name], lowering.graph.shapes[node.output]
    mode = node.attributes.get("mode", b"nearest").decode()
    wanted = [
        _onnx_positions(node, mode, sizes, scale, old=lowering.graph.opset < 11)
        for sizes, scale in zip(
            zip(before, after, strict=True), _scales(lowering, node), strict=True
        )
    ]
    order = _order(before, wanted)
    if order is None:
        raise unsupported_error(node, "only one or two dimensions for rows and columns can")
    options = next(
        (
            (align, half)
            for align, half in _OPTIONS
            if all(
                np.allclose(
                    wanted[axis],
                    _tflite_positions(mode, before[axis], after[axis], align=align, half=half),
                )
                for axis in order[1:-1]
            )
        ),
        None,
    )
    if options is None:
        raise unsupported_error(node, "its way of rounding coordinates has no counterpart there")
    source, target = lowering.read(name, order), lowering.write(node.output, order)
    shape = lowering.shape(target)
    result = target
    if len(order) == 3:
        n, width, channels = lowering.shape(source)
        source = lowering.reshape_tensor(source, (n, 1, width, channels))
        result = lowering.temporary(f"{target}/resized", (n, 1, *shape[1:]), like=target)
    lowering.emit(
        "RESIZE_BILINEAR" if mode == "linear" else "RESIZE_NEAREST_NEIGHBOR",
        [source, lowering.indices(f"{target}/size", lowering.shape(result)[1:3])],
        [result],
        AlignCorners=options[0],
        HalfPixelCenters=options[1],
    )
    if result != target:
        lowering.emit_reshape(result, target)


def _order(before: tuple[int, ...], wanted: list[Positions]) -> Permutation | None:
    """The order of dimensions in which those that are resized are rows and columns."""
    moved = {
        axis
        for axis, positions in enumerate(wanted)
        if not np.array_equal(positions, np.arange(before[axis]))
    }
    orders = {3: [(0, 2, 1)], 4: [CHANNELS_LAST, identity(4)]}.get(len(before), [])
    return next((order for order in orders if moved <= set(order[1:-1])), None)


def _scales(lowering: Lowering, node: OnnxNode) -> list[np.float32]:
    """The scale of every dimension, which may differ from the ratio of the sizes."""
    before, after = (lowering.graph.shapes[name] for name in (node.inputs[0], node.output))
    rank = len(before)
    axes = [axis % rank for axis in node.ints("axes", identity(rank))]
    ratios = [np.float32(b) / np.float32(a) for a, b in zip(before, after, strict=True)]
    position = 1 if node.op == "Upsample" or lowering.graph.opset < 11 else 2
    stated = node.attributes.get("scales", lowering.graph.constant(node, position))
    if stated is None or not np.size(stated):
        return _scales_of_sizes(lowering, node, axes, ratios)
    scales = [np.float32(1.0)] * rank
    for axis, scale in zip(axes, np.reshape(stated, -1), strict=True):
        scales[axis] = np.float32(scale)
    return scales


def _scales_of_sizes(
    lowering: Lowering, node: OnnxNode, axes: list[int], ratios: list[np.float32]
) -> list[np.float32]:
    """The scales that follow from stated sizes, which a policy makes one for all dimensions."""
    policy = node.attributes.get("keep_aspect_ratio_policy", b"stretch").decode()
    sizes = lowering.graph.constant(node, 3)
    if policy == "stretch" or sizes is None:
        return ratios
    if min(node.ints("axes", (0,))) < 0:
        raise unsupported_error(node, "its policy is for axes that are counted from the end")
    before = lowering.graph.shapes[node.inputs[0]]
    asked = [
        np.float32(size) / np.float32(before[axis])
        for axis, size in zip(axes, sizes.reshape(-1), strict=True)
    ]
    one = min(asked) if policy == "not_larger" else max(asked)
    return [one if axis in axes else np.float32(1.0) for axis in range(len(before))]


def _onnx_positions(
    node: OnnxNode, mode: str, sizes: tuple[int, int], scale: np.float32, *, old: bool
) -> Positions:
    """The input positions that ONNX reads along a dimension, one per output position.

    Args:
        node: the node.
        mode: nearest or linear.
        sizes: of the dimension, before and after.
        scale: of the dimension.
        old: whether the node is of an operator set before 11, which had no modes for coordinates.
    """
    size_in, size_out = sizes
    places = np.arange(size_out, dtype=np.float32)
    half, size = np.float32(0.5), np.float32(size_in)
    default = b"asymmetric" if old else b"half_pixel"
    kind = node.attributes.get("coordinate_transformation_mode", default).decode()
    if scale == 1.0:
        positions = places
    elif kind == "asymmetric":
        positions = places / scale
    elif kind == "align_corners":
        positions = places * np.float32(size_in - 1) / np.float32(max(size_out - 1, 1))
    elif kind == "pytorch_half_pixel" and size_out == 1:
        positions = np.zeros(1, np.float32)
    elif kind == "tf_half_pixel_for_nn":
        positions = (places + half) / scale
    else:
        positions = (places + half) / scale - half
    if kind == "half_pixel_symmetric":
        positions += size * half * (1 - np.float32(size_out) / (scale * size))
    if mode == "nearest":
        # Before there was a mode, onnxruntime rounded towards the pixel before, when shrinking up.
        simple = b"ceil" if scale < 1.0 else b"floor"
        rounding = node.attributes.get("nearest_mode", simple if old else b"round_prefer_floor")
        lower = np.floor(positions)
        positions = {
            b"floor": lower,
            b"ceil": np.ceil(positions),
            b"round_prefer_floor": lower + (positions - lower > half),
            b"round_prefer_ceil": lower + (positions - lower >= half),
        }[rounding]
    limited: Positions = np.clip(positions, 0, size_in - 1)
    return limited


def _tflite_positions(
    mode: str, size_in: int, size_out: int, *, align: bool, half: bool
) -> Positions:
    """The input positions that TFLite's kernels read (its public reference implementation)."""
    places = np.arange(size_out, dtype=np.float32)
    middle = np.float32(0.5)
    ratio = np.float32(size_in) / np.float32(size_out)
    if align and size_out > 1:
        ratio = np.float32(size_in - 1) / np.float32(size_out - 1)
    if mode == "linear":
        positions = (places + middle) * ratio - middle if half else places * ratio
    else:
        positions = (places + (middle if half else np.float32(0.0))) * ratio
        lower = np.floor(positions)
        positions = lower + (positions - lower >= middle) if align else lower
    return np.clip(positions, 0, size_in - 1)
