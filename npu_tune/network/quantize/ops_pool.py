"""Lowers pooling and reductions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize.layout import CHANNELS_LAST
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_conv import SYMMETRIC, Window, emit_padding, window_of

_REDUCTIONS = {
    "ReduceMax": "REDUCE_MAX",
    "ReduceMean": "MEAN",
    "ReduceMin": "REDUCE_MIN",
    "ReduceSum": "SUM",
}
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
        2 * max(before, after) <= size and max(before, after) <= pixels
        for before, after, size, pixels in zip(
            window.before, window.after, window.kernel, (height, width), strict=True
        )
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
        _emit_reduction(lowering, source, lowering.write(node.output, CHANNELS_LAST), (1, 2))
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
    # Rounding up makes windows reach behind the pads, which are all that counts.
    mode = node.attributes.get("auto_pad", b"NOTSET")
    stated = node.ints("pads", (0, 0, 0, 0)) if mode == b"NOTSET" else (0, 0, 0, 0)
    after = window.after if mode in (b"SAME_UPPER", b"SAME_LOWER") else stated[2:]
    along = []
    for axis in (0, 1):
        starts = np.arange(outputs[axis]) * window.strides[axis] - window.before[axis]
        first = -window.before[axis] if includes_pads else 0
        last = sizes[axis] + (after[axis] if includes_pads else 0)
        ends = np.minimum(starts + window.kernel[axis], last)
        along.append(ends - np.maximum(starts, first))
    return np.outer(along[0], along[1]).astype(np.float64)


def global_average_pool(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers GlobalAveragePool."""
    _feature_map(lowering, node)
    source = lowering.read(node.inputs[0], CHANNELS_LAST)
    _emit_reduction(lowering, source, lowering.write(node.output, CHANNELS_LAST), (1, 2))


def _emit_reduction(
    lowering: Lowering, source: str, target: str, axes: tuple[int, ...], op: str = "MEAN"
) -> None:
    """Adds a reduction that keeps its dimensions, as accelerators need it, and a RESHAPE."""
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(lowering.shape(source)))
    kept = target
    if lowering.shape(target) != shape:
        kept = lowering.temporary(f"{target}/kept", shape, like=target)
    inputs = [source, lowering.indices(f"{target}/axes", axes)]
    lowering.emit(op, inputs, [kept], KeepDims=True)
    if kept != target:
        lowering.emit_reshape(kept, target)


def reduction(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers a mean, sum, maximum or minimum over any dimensions."""
    name = node.inputs[0]
    rank = len(lowering.graph.shapes[name])
    reduced = _reduced_axes(lowering, node, rank)
    have = lowering.permutation(name)
    if not reduced:
        lowering.alias(node.output, lowering.read(name), have)
        return
    if rank == 4 and reduced == {2, 3}:
        have = CHANNELS_LAST  # the mean of a feature map, which accelerators support
    source = lowering.read(name, have)
    keep = len(lowering.graph.shapes[node.output]) == rank
    remaining = [axis for axis in range(rank) if axis not in reduced]
    result = have if keep else tuple(remaining.index(axis) for axis in have if axis in remaining)
    target = lowering.write(node.output, result)
    _emit_reduction(
        lowering,
        source,
        target,
        tuple(place for place, axis in enumerate(have) if axis in reduced),
        _REDUCTIONS[node.op],
    )


def _reduced_axes(lowering: Lowering, node: OnnxNode, rank: int) -> set[int]:
    """The reduced dimensions: no axes mean all of them, or none if the node says so."""
    given = lowering.graph.constant(node, 1)
    axes = node.ints("axes") if given is None else tuple(int(axis) for axis in given.reshape(-1))
    if not axes and not node.attributes.get("noop_with_empty_axes", 0):
        return set(range(rank))
    return {axis % rank for axis in axes}
