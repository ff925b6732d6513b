"""Lowers pooling, means and resizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize.layout import CHANNELS_LAST, identity
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_conv import SYMMETRIC, Window, emit_padding, window_of

_LOWEST_REAL = -1e30
"""Saturates to the lowest code, the neutral element of a maximum."""


def _pool_window(lowering: Lowering, node: OnnxNode) -> Window:
    kernel = node.ints("kernel_shape")
    if len(kernel) != 2:
        raise unsupported_error(node, f"it has {len(kernel)} spatial dimensions")
    if any(size != 1 for size in node.ints("dilations", (1, 1))):
        raise unsupported_error(node, "it is dilated")
    return window_of(lowering, node, (kernel[0], kernel[1]))


def _emit_pool(lowering: Lowering, op: str, source: str, target: str, window: Window) -> None:
    lowering.emit(
        op,
        [source],
        [target],
        Padding=window.padding_code,
        StrideH=window.strides[0],
        StrideW=window.strides[1],
        FilterHeight=window.kernel[0],
        FilterWidth=window.kernel[1],
    )


def max_pool(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers MaxPool; padding never is the maximum."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise unsupported_error(node, "it also hands out where the maxima are")
    window = _pool_window(lowering, node)
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    if window.needs_padding:
        if lowering.ranges[node.inputs[0]][0] >= 0.0:
            source = emit_padding(lowering, source, window.before, window.after)
        else:
            source = _pad_neutrally(lowering, source, window)
    _emit_pool(lowering, "MAX_POOL_2D", source, lowering.write(node.output, CHANNELS_LAST), window)


def _pad_neutrally(lowering: Lowering, source: str, window: Window) -> str:
    """Pads a feature map by values that are never the only maximum of a window.

    Mirroring does where windows reach as far into the map as out of it, because they then contain
    the mirrored pixels anyway. Padding by the lowest code always does, but not every accelerator
    supports it.
    """
    n, height, width, channels = lowering.shape(source)
    rows, columns = (b + a for b, a in zip(window.before, window.after, strict=True))
    target = lowering.temporary(
        f"{source}/padded", (n, height + rows, width + columns, channels), like=source
    )
    pads = [(0, 0), *zip(window.before, window.after, strict=True), (0, 0)]
    inputs = [source, lowering.indices(f"{target}/pads", pads)]
    mirrors = all(
        2 * max(before, after) <= size
        for before, after, size in zip(window.before, window.after, window.kernel, strict=True)
    )
    if mirrors:
        lowering.emit("MIRROR_PAD", inputs, [target], Mode=SYMMETRIC)
    else:
        lowest = lowering.constant(f"{target}/lowest", as_float32([_LOWEST_REAL]))
        lowering.emit("PADV2", [*inputs, lowest], [target])
    return target


def global_max_pool(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers GlobalMaxPool to a window as large as the map."""
    _, _, height, width = _feature_map(lowering, node)
    window = Window((height, width), (1, 1), (1, 1), (0, 0), (0, 0), is_same=False)
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    _emit_pool(lowering, "MAX_POOL_2D", source, lowering.write(node.output, CHANNELS_LAST), window)


def _feature_map(lowering: Lowering, node: OnnxNode) -> tuple[int, int, int, int]:
    shape = lowering.graph.shapes[node.inputs[0]]
    if len(shape) != 4:
        raise unsupported_error(node, f"its input has {len(shape)} dimensions")
    return shape[0], shape[1], shape[2], shape[3]


def average_pool(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers AveragePool; corrects border positions where TFLite divides by another number."""
    window = _pool_window(lowering, node)
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    _, height, width, _ = lowering.shape(source)
    padless = not any((*window.before, *window.after))
    if padless and window.kernel == (height, width):
        # A MEAN may have another scale than its input, a pool may not.
        _emit_mean(lowering, source, lowering.write(node.output, CHANNELS_LAST), (1, 2))
        return
    counts = _divisors(node, window, (height, width), lowering.graph.shapes[node.output][2:])
    target = lowering.write(node.output, CHANNELS_LAST)
    includes_pads = bool(node.attributes.get("count_include_pad", 0))
    if padless or (window.is_same and not includes_pads):
        _emit_pool(lowering, "AVERAGE_POOL_2D", source, target, window)
        return
    window = replace(window, is_same=False)
    source = emit_padding(lowering, source, window.before, window.after)
    correction = window.kernel[0] * window.kernel[1] / counts
    if np.all(correction == 1.0):
        _emit_pool(lowering, "AVERAGE_POOL_2D", source, target, window)
        return
    pooled = lowering.temporary(f"{target}/pooled", lowering.shape(target), like=source)
    _emit_pool(lowering, "AVERAGE_POOL_2D", source, pooled, window)
    factor = lowering.constant(f"{target}/correction", as_float32(correction[None, :, :, None]))
    lowering.emit("MUL", [pooled, factor], [target])


def _divisors(
    node: OnnxNode, window: Window, sizes: tuple[int, int], outputs: tuple[int, ...]
) -> NDArray[np.float64]:
    """The number of elements that ONNX divides by, per output position."""
    includes_pads = bool(node.attributes.get("count_include_pad", 0))
    stated = node.ints("pads", (0, 0, 0, 0))
    along = []
    for axis in (0, 1):
        starts = np.arange(outputs[axis]) * window.strides[axis] - window.before[axis]
        first = -window.before[axis] if includes_pads else 0
        last = sizes[axis] + (stated[2 + axis] if includes_pads else 0)
        ends = np.minimum(starts + window.kernel[axis], last)
        along.append(ends - np.maximum(starts, first))
    return np.outer(along[0], along[1]).astype(np.float64)


def global_average_pool(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers GlobalAveragePool."""
    _feature_map(lowering, node)
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    _emit_mean(lowering, source, lowering.write(node.output, CHANNELS_LAST), (1, 2))


def _emit_mean(lowering: Lowering, source: str, target: str, axes: tuple[int, ...]) -> None:
    """Adds a MEAN that keeps its dimensions, as accelerators need it, and a RESHAPE."""
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(lowering.shape(source)))
    kept = target
    if lowering.shape(target) != shape:
        kept = lowering.temporary(f"{target}/kept", shape, like=target)
    inputs = [source, lowering.indices(f"{target}/axes", axes)]
    lowering.emit("MEAN", inputs, [kept], KeepDims=True)
    if kept != target:
        lowering.emit_reshape(kept, target)


def reduce_mean(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers ReduceMean over any dimensions."""
    rank = len(lowering.graph.shapes[node.inputs[0]])
    given = lowering.graph.constant(node, 1)
    axes = node.ints("axes") if given is None else tuple(int(axis) for axis in given)
    if not axes and not node.attributes.get("noop_with_empty_axes", 0):
        axes = identity(rank)
    reduced = {axis % rank for axis in axes}
    have = lowering.permutation(node.inputs[0])
    if rank == 4 and reduced == {2, 3}:
        have = CHANNELS_LAST  # the mean of a feature map, which accelerators support
    source = lowering.read(node.inputs[0], have)
    keep = len(lowering.graph.shapes[node.output]) == rank
    remaining = [axis for axis in range(rank) if axis not in reduced]
    result = have if keep else tuple(remaining.index(axis) for axis in have if axis in remaining)
    target = lowering.write(node.output, result)
    _emit_mean(
        lowering,
        source,
        target,
        tuple(place for place, axis in enumerate(have) if axis in reduced),
    )


def resize(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Resize and Upsample, if TFLite can read the same positions."""
    before, after = (lowering.graph.shapes[name] for name in (node.inputs[0], node.output))
    mode = node.attributes.get("mode", b"nearest").decode()
    if len(before) != 4 or before[:2] != after[:2] or mode not in {"nearest", "linear"}:
        raise unsupported_error(node, "only nearest and linear resizing of height and width can")
    if node.attributes.get("antialias", 0):
        raise unsupported_error(node, "it smooths before it shrinks")
    options = next(
        (
            (align, half)
            for align, half in ((False, False), (False, True), (True, False))
            if all(
                np.allclose(
                    _onnx_positions(lowering, node, mode, axis),
                    _tflite_positions(mode, before[axis], after[axis], align=align, half=half),
                )
                for axis in (2, 3)
            )
        ),
        None,
    )
    if options is None:
        raise unsupported_error(node, "its way of rounding coordinates has no counterpart there")
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    target = lowering.write(node.output, CHANNELS_LAST)
    lowering.emit(
        "RESIZE_BILINEAR" if mode == "linear" else "RESIZE_NEAREST_NEIGHBOR",
        [source, lowering.indices(f"{target}/size", after[2:])],
        [target],
        AlignCorners=options[0],
        HalfPixelCenters=options[1],
    )


def _scale(lowering: Lowering, node: OnnxNode, axis: int) -> float:
    """The node's scale along an axis, which may differ slightly from the ratio of the sizes."""
    stated = node.attributes.get("scales")
    position = 1 if node.op == "Upsample" or lowering.graph.opset < 11 else 2
    if stated is None:
        stated = lowering.graph.constant(node, position)
    if stated is not None and len(stated) == 4:
        return float(stated[axis])
    return lowering.graph.shapes[node.output][axis] / lowering.graph.shapes[node.inputs[0]][axis]


def _onnx_positions(
    lowering: Lowering, node: OnnxNode, mode: str, axis: int
) -> NDArray[np.float64]:
    """The input positions that ONNX reads along an axis, one per output position."""
    size_in = lowering.graph.shapes[node.inputs[0]][axis]
    size_out = lowering.graph.shapes[node.output][axis]
    scale, places = _scale(lowering, node, axis), np.arange(size_out, dtype=np.float64)
    old = node.op == "Upsample" or lowering.graph.opset < 11
    default = b"asymmetric" if old else b"half_pixel"
    kind = node.attributes.get("coordinate_transformation_mode", default).decode()
    if kind == "asymmetric":
        positions = places / scale
    elif kind == "align_corners":
        positions = places * (size_in - 1) / max(size_out - 1, 1)
    elif kind == "half_pixel" or (kind == "pytorch_half_pixel" and size_out > 1):
        positions = (places + 0.5) / scale - 0.5
    elif kind == "pytorch_half_pixel":
        positions = np.zeros(1)
    else:
        raise unsupported_error(node, f"its coordinates are {kind!r}")
    if mode == "nearest":
        rounding = node.attributes.get(
            "nearest_mode", b"floor" if old else b"round_prefer_floor"
        ).decode()
        positions = {
            "floor": np.floor(positions),
            "ceil": np.ceil(positions),
            "round_prefer_floor": np.ceil(positions - 0.5),
            "round_prefer_ceil": np.floor(positions + 0.5),
        }[rounding]
    return np.clip(positions, 0, size_in - 1)


def _tflite_positions(
    mode: str, size_in: int, size_out: int, *, align: bool, half: bool
) -> NDArray[np.float64]:
    """The input positions that TFLite's kernels read (its public reference implementation)."""
    places = np.arange(size_out, dtype=np.float64)
    ratio = (size_in - 1) / (size_out - 1) if align and size_out > 1 else size_in / size_out
    if mode == "linear":
        positions = (places + 0.5) * ratio - 0.5 if half else places * ratio
    else:
        positions = (places + (0.5 if half else 0.0)) * ratio
        positions = np.floor(positions + 0.5) if align else np.floor(positions)
    return np.clip(positions, 0, size_in - 1)
