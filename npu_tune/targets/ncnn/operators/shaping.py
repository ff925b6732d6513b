"""Operators that move elements: reshaping, transposing, joining, cutting, padding, resizing."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.ncnn.program import Shape
from npu_tune.targets.ncnn.translator import Operator, Translator

_ORDERS = {
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
    4: (
        *("WHDC", "HWDC", "WDHC", "DWHC", "HDWC", "DHWC", "WHCD", "HWCD"),
        *("WCHD", "CWHD", "HCWD", "CHWD", "WDCH", "DWCH", "WCDH", "CWDH"),
        *("DCWH", "CDWH", "HDCW", "DHCW", "HCDW", "CHDW", "DCHW", "CDHW"),
    ),
}
"""What Permute's order types leave, innermost first (ncnn's table of operators)."""

_OUTERMOST_FIRST = {2: "HW", 3: "CHW", 4: "CDHW"}


def permutation(rank: int, order: int) -> tuple[int, ...]:
    """The permutation of a blob's dimensions, outermost first, that an order type stands for."""
    names = _OUTERMOST_FIRST[rank]
    return tuple(names.index(name) for name in reversed(_ORDERS[rank][order]))


def _reshape(translator: Translator, node: OnnxNode) -> None:
    translator.alias(node.output, node.inputs[0])


def _transpose(translator: Translator, node: OnnxNode) -> None:
    source = node.inputs[0]
    shape = translator.graph.shapes[source]
    moves = node.ints("perm", tuple(reversed(range(len(shape)))))
    if _keeps_order(shape, moves):
        translator.alias(node.output, source)
        return
    if len(shape) > 1 and shape[0] == 1:
        if moves[0] != 0:
            translator.refuse(node, "it moves the batch")
        shape, moves = shape[1:], tuple(move - 1 for move in moves[1:])
    blob, present = translator.held(source)
    shuffled = moves == (1, 0, *range(2, len(shape))) and len(shape) > 2
    if shuffled and present == (shape[0] * shape[1], *shape[2:]):
        translator.emit("ShuffleChannel", [blob], node.output, {0: shape[0]}, shape=present)
        return
    if len(shape) not in _ORDERS:
        translator.refuse(node, f"it permutes {len(shape)} dimensions")
    orders = range(len(_ORDERS[len(shape)]))
    order = next(each for each in orders if permutation(len(shape), each) == moves)
    blob = translator.read(node, source, shape)
    moved = tuple(shape[move] for move in moves)
    translator.emit("Permute", [blob], node.output, {0: order}, shape=moved)


def _keeps_order(shape: Shape, moves: tuple[int, ...]) -> bool:
    """True where only dimensions of one element change their places."""
    long = [move for move in moves if shape[move] != 1]
    return long == sorted(long)


def _concat(translator: Translator, node: OnnxNode) -> None:
    if len(translator.graph.run_time_inputs(node)) != len(node.inputs):
        translator.refuse(node, "it joins a constant")
    axis = translator.axis(node, node.output, int(node.attributes["axis"]))
    blobs = [translator.read(node, tensor) for tensor in node.inputs]
    if len(blobs) == 1:
        translator.alias(node.output, node.inputs[0])
        return
    translator.emit("Concat", blobs, node.output, {0: axis})


def _slice(translator: Translator, node: OnnxNode) -> None:
    source = node.inputs[0]
    shape = translator.graph.shapes[source]
    parts = [translator.graph.constant(node, place) for place in range(1, 5)]
    starts, ends = parts[0], parts[1]
    if starts is None or ends is None:
        translator.refuse(node, "its places are computed at run time")
    axes = np.arange(starts.size) if parts[2] is None else parts[2].reshape(-1)
    steps = np.ones(starts.size) if parts[3] is None else parts[3].reshape(-1)
    if not (steps == 1).all():
        translator.refuse(node, "it goes in steps")
    found = []
    for axis, start, end in zip(axes, starts.reshape(-1), ends.reshape(-1), strict=True):
        size = shape[int(axis)]
        first, last, _ = slice(int(start), int(end)).indices(size)
        if (first, last) != (0, size):
            found.append((translator.axis(node, source, int(axis)), first, last))
    if not found:
        translator.alias(node.output, source)
        return
    blob = translator.read(node, source)
    by_part = [tuple(float(value) for value in part) for part in zip(*found, strict=True)]
    translator.emit(
        "Crop",
        [blob],
        node.output,
        {9: _whole(by_part[1]), 10: _whole(by_part[2]), 11: _whole(by_part[0])},
    )


def _whole(values: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


_PADDINGS = {"constant": 0, "edge": 1, "reflect": 2}


def _pad(translator: Translator, node: OnnxNode) -> None:
    source = node.inputs[0]
    rank = len(translator.graph.shapes[source])
    pads, value = translator.graph.constant(node, 1), translator.graph.constant(node, 2)
    mode = node.attributes.get("mode", b"constant")
    kind = _PADDINGS.get(mode.decode() if isinstance(mode, bytes) else str(mode))
    if pads is None or kind is None or pads.size != 2 * rank or rank != 4:
        translator.refuse(node, "its padding is none that ncnn has")
    (top, left), (bottom, right) = pads.reshape(2, rank)[:, 2:]
    front, behind = pads.reshape(2, rank)[:, 1]
    if pads.reshape(2, rank)[:, 0].any() or min(pads) < 0 or (kind and (front or behind)):
        translator.refuse(node, "it pads more than height and width")
    blob = translator.read(node, source)
    sizes = dict(zip((0, 1, 2, 3), map(int, (top, bottom, left, right)), strict=True))
    fill = 0.0 if value is None else float(value.reshape(-1)[0])
    translator.emit(
        "Padding", [blob], node.output, {**sizes, 4: kind, 5: fill, 7: int(front), 8: int(behind)}
    )


def _resize(translator: Translator, node: OnnxNode) -> None:
    before, behind = translator.graph.shapes[node.inputs[0]], translator.graph.shapes[node.output]
    mode, place, rounding = (
        _text(node.attributes.get(name, default))
        for name, default in (
            ("mode", "nearest"),
            ("coordinate_transformation_mode", "half_pixel"),
            ("nearest_mode", "round_prefer_floor"),
        )
    )
    if len(before) != 4 or before[:2] != behind[:2]:
        translator.refuse(node, "it resizes more than height and width")
    whole = all(new % old == 0 for old, new in zip(before[2:], behind[2:], strict=True))
    same_nearest = (place, rounding) in (
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
        ("pytorch_half_pixel", "round_prefer_floor"),
    )
    if mode == "nearest" and whole and same_nearest:
        parameters = {0: 1}
    elif mode == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        parameters = {0: 2, 6: int(place == "align_corners")}
    else:
        translator.refuse(node, f"ncnn has no {mode} resizing by {place}, {rounding}")
    blob = translator.read(node, node.inputs[0])
    height, width = behind[2:]
    scales = {1: height / before[2], 2: width / before[3]}
    translator.emit("Interp", [blob], node.output, {**parameters, **scales, 3: height, 4: width})


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


SHAPING: dict[str, Operator] = {
    "Concat": _concat,
    "Flatten": _reshape,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
