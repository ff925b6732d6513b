"""Lowers Resize and Upsample, which read positions along each dimension."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.layout import CHANNELS_LAST, Permutation, identity
from npu_tune.network.quantize.lowering import Lowering
from npu_tune.network.quantize.ops_shape import emit_gather
from npu_tune.network.quantize.runtimes import onnx_session, run_session

_OPTIONS = ((False, False), (False, True), (True, False))
"""TFLite's options that the kernels know: (aligned corners, half-pixel centres)."""
_TOLERANCE = 1e-4
"""In pixels; TFLite's int8 kernel interpolates in steps of 2**-10."""

Positions = NDArray[np.float32]


def resize(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Resize and Upsample.

    To RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR if these read the same positions; else elements are
    gathered, one dimension after the other, and neighbours are weighted.
    """
    name = node.inputs[0]
    before, after = lowering.graph.shapes[name], lowering.graph.shapes[node.output]
    mode = node.attributes.get("mode", b"nearest").decode()
    wanted = _onnx_positions(lowering, node)
    order = _order(before, wanted)
    if order is not None:
        for align, half in _OPTIONS:
            if all(
                _are_close(
                    wanted[axis],
                    _tflite_positions(mode, before[axis], after[axis], align=align, half=half),
                )
                for axis in order[1:-1]
            ):
                _emit_resize(lowering, node, order, mode, align=align, half=half)
                return
    _emit_gathers(lowering, node, wanted)


def _emit_resize(
    lowering: Lowering, node: OnnxNode, order: Permutation, mode: str, *, align: bool, half: bool
) -> None:
    source = lowering.read(node.inputs[0], order)
    target = lowering.write(node.output, order)
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
        AlignCorners=align,
        HalfPixelCenters=half,
    )
    if result != target:
        lowering.emit_reshape(result, target)


def _order(before: tuple[int, ...], wanted: list[Positions]) -> Permutation | None:
    """The order of dimensions in which those that are resized are rows and columns."""
    moved = {axis for axis, size in enumerate(before) if not _stays(wanted[axis], size)}
    orders: list[Permutation] = []
    if len(before) == 3:
        orders = [(0, 2, 1)]
    elif len(before) == 4:
        orders = [CHANNELS_LAST, identity(4)]
    return next((order for order in orders if moved <= set(order[1:-1])), None)


def _emit_gathers(lowering: Lowering, node: OnnxNode, wanted: list[Positions]) -> None:
    order = lowering.permutation(node.inputs[0])
    tensor = lowering.read(node.inputs[0])
    target = lowering.write(node.output, order)
    for place, axis in enumerate(order):
        if not _stays(wanted[axis], lowering.shape(tensor)[place]):
            tensor = _emit_gather(lowering, tensor, target, wanted[axis], place)
    lowering.emit_reshape(tensor, target)


def _emit_gather(
    lowering: Lowering, source: str, target: str, positions: Positions, place: int
) -> str:
    """Reads positions along a dimension, between two elements where they are no integers."""
    shape = list(lowering.shape(source))
    shape[place] = len(positions)
    lower = np.floor(positions + _TOLERANCE)
    share = np.where(positions - lower > _TOLERANCE, positions - lower, 0.0)

    def result(part: str) -> str:
        return lowering.temporary(f"{target}/{part}{place}", shape, like=source)

    def gathered(part: str, indices: NDArray[Any]) -> str:
        found = result(part)
        emit_gather(lowering, source, found, indices, place)
        return found

    if not share.any():
        return gathered("gathered", lower)
    along = [-1 if n == place else 1 for n in range(len(shape))]
    parts = []
    for part, indices, weights in (("lower", lower, 1.0 - share), ("upper", lower + 1, share)):
        weighted = result(f"{part}/weighted")
        constant = lowering.constant(f"{weighted}/by", as_float32(weights).reshape(along))
        lowering.emit("MUL", [gathered(part, indices), constant], [weighted])
        parts.append(weighted)
    between = result("between")
    lowering.emit("ADD", parts, [between])
    return between


def _stays(positions: Positions, size: int) -> bool:
    return _are_close(positions, np.arange(size, dtype=np.float32))


def _are_close(one: Positions, other: Positions) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=0.0, atol=_TOLERANCE)


def _onnx_positions(lowering: Lowering, node: OnnxNode) -> list[Positions]:
    """The input positions that onnxruntime reads along each dimension, one per output position.

    They are what the node makes of the positions themselves, so that all its scales, sizes, axes,
    policies and ways of rounding are in them.
    """
    graph, name = lowering.graph, node.inputs[0]
    shape = graph.shapes[name]
    constants = {label: graph.constants[label] for label in node.inputs[1:] if label}
    alone = replace(graph, nodes=[node], constants=constants, inputs=[name], outputs=[node.output])
    session = onnx_session(graph_to_onnx(alone))
    found = []
    for axis, size in enumerate(shape):
        along = [size if place == axis else 1 for place in range(len(shape))]
        ramp = np.broadcast_to(np.arange(size, dtype=np.float32).reshape(along), shape)
        (result,) = run_session(session, [node.output], {name: np.ascontiguousarray(ramp)})
        found.append(result[tuple(slice(None) if n == axis else 0 for n in range(len(shape)))])
    return found


def _tflite_positions(
    mode: str, size_in: int, size_out: int, *, align: bool, half: bool
) -> Positions:
    """The input positions that TFLite's kernels read, in single precision as theirs.

    Source: its public reference implementation.
    """
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
    limited: Positions = np.clip(positions, 0, size_in - 1)
    return limited
