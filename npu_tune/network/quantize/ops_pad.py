"""Lowers Pad."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_conv import REFLECT, SYMMETRIC
from npu_tune.network.quantize.ops_shape import emit_gather, emit_slice

_MOST_DIMENSIONS = 5
"""That TFLite's PADV2 takes."""
_MOST_MIRRORED = 4
"""Elements of a border that are mirrored one by one, as Vela has MIRROR_PAD on the NPU and GATHER
on the CPU."""

Amounts = NDArray[np.int64]
"""Elements before and after each dimension, in TFLite's order; of shape (dimensions, 2)."""


def pad(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Pad with a constant, a reflection or the elements at the border.

    Negative amounts cut elements off, before others are added.
    """
    name = node.inputs[0]
    order = lowering.permutation(name)
    amounts = _amounts(lowering, node, len(order))[list(order)]
    source, mode = lowering.read(name), node.attributes.get("mode", b"constant")
    target = lowering.write(node.output, order)
    if np.any(amounts < 0):
        if mode != b"constant":
            raise unsupported_error(node, "it cuts elements off and mirrors others")
        source = _cut(lowering, source, target, np.minimum(amounts, 0))
        amounts = np.maximum(amounts, 0)
    if not np.any(amounts):
        lowering.emit_reshape(source, target)
    elif mode == b"constant":
        _pad_with_constant(lowering, node, source, target, amounts)
    elif mode == b"reflect":
        inputs = [source, lowering.indices(f"{target}/pads", amounts)]
        lowering.emit("MIRROR_PAD", inputs, [target], Mode=REFLECT)
    else:
        _repeat_border(lowering, source, target, amounts)


def _amounts(lowering: Lowering, node: OnnxNode, rank: int) -> Amounts:
    """The amounts in ONNX's order of dimensions."""
    given, chosen = lowering.graph.constant(node, 1), lowering.graph.constant(node, 3)
    pads = node.ints("pads") if given is None else tuple(int(item) for item in given.reshape(-1))
    axes = range(rank) if chosen is None else [int(axis) % rank for axis in chosen.reshape(-1)]
    amounts = np.zeros((rank, 2), np.int64)
    amounts[list(axes)] = np.reshape(pads, (2, -1)).T
    return amounts


def _cut(lowering: Lowering, source: str, target: str, amounts: Amounts) -> str:
    before, after = -amounts.T
    shape = lowering.shape(source)
    rest = tuple(int(n - b - a) for n, b, a in zip(shape, before, after, strict=True))
    result = lowering.temporary(f"{target}/cut", rest, like=source)
    emit_slice(lowering, source, result, tuple(int(n) for n in before), (1,) * len(shape))
    return result


def _pad_with_constant(
    lowering: Lowering, node: OnnxNode, source: str, target: str, amounts: Amounts
) -> None:
    given = lowering.graph.constant(node, 2)
    value = float(node.attributes.get("value", 0.0) if given is None else given.reshape(-1)[0])
    inputs = [source, lowering.indices(f"{target}/pads", amounts)]
    if value == 0.0:
        lowering.emit("PAD", inputs, [target])
    elif len(amounts) > _MOST_DIMENSIONS:
        raise unsupported_error(
            node, f"it adds {value:g} to more than {_MOST_DIMENSIONS} dimensions"
        )
    else:
        constant = lowering.constant(f"{target}/value", as_float32([value]))
        lowering.emit("PADV2", [*inputs, constant], [target])


def _repeat_border(lowering: Lowering, source: str, target: str, amounts: Amounts) -> None:
    """Mirrors one element at a time at each border that lacks few, else gathers along it."""
    if amounts.max() <= _MOST_MIRRORED:
        _mirror_border(lowering, source, target, amounts)
        return
    padded = [place for place, both in enumerate(amounts) if np.any(both)]
    for place in padded:
        shape = list(lowering.shape(source))
        before, after = (int(amount) for amount in amounts[place])
        positions = np.arange(-before, shape[place] + after)
        shape[place] = len(positions)
        last = place == padded[-1]
        result = (
            target if last else lowering.temporary(f"{target}/border{place}", shape, like=source)
        )
        emit_gather(lowering, source, result, positions, place)
        source = result


def _mirror_border(lowering: Lowering, source: str, target: str, amounts: Amounts) -> None:
    for step in range(int(amounts.max())):
        now = (amounts > step).astype(np.int64)
        last = step + 1 == amounts.max()
        shape = tuple(int(n) for n in np.add(lowering.shape(source), now.sum(axis=1)))
        result = (
            target if last else lowering.temporary(f"{target}/border{step}", shape, like=source)
        )
        inputs = [source, lowering.indices(f"{result}/pads", now)]
        lowering.emit("MIRROR_PAD", inputs, [result], Mode=SYMMETRIC)
        source = result
