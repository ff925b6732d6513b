"""Lowers operators that only move data: reshape, transpose, concat, split, slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize import layout
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_math import common_order


def reshape(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Reshape, Flatten, Squeeze, Unsqueeze and Identity."""
    name = node.inputs[0]
    before, after = lowering.graph.shapes[name], lowering.graph.shapes[node.output]
    plan = layout.plan_reshape(before, after, lowering.permutation(name))
    if plan.needed != lowering.permutation(name) and _feeds_only_gemms(lowering, node.output):
        # Permuting the weights that follow, in the file, moves no data at run time.
        lowering.flat_orders[node.output] = layout.flat_order(before, lowering.permutation(name))
        lowering.emit_reshape(lowering.read(name), lowering.write(node.output))
        return
    stored = lowering.read(name, plan.needed)
    shape = layout.permute(after, plan.result)
    if lowering.shape(stored) == shape:
        lowering.alias(node.output, stored, plan.result)
    else:
        lowering.emit_reshape(stored, lowering.write(node.output, plan.result))


def _feeds_only_gemms(lowering: Lowering, name: str) -> bool:
    shape = lowering.graph.shapes[name]
    readers = lowering.graph.consumers(name)
    return (
        len(shape) == 2
        and shape[0] == 1
        and name not in lowering.graph.outputs
        and all(reader.op == "Gemm" and reader.inputs[0] == name for reader in readers)
    )


def transpose(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Transpose to a change of permutation; data moves only if a later operator needs it."""
    name = node.inputs[0]
    rank = len(lowering.graph.shapes[name])
    onnx_permutation = node.ints("perm", tuple(reversed(range(rank))))
    order = layout.after_transpose(lowering.permutation(name), onnx_permutation)
    lowering.alias(node.output, lowering.read(name), order)


def concat(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Concat."""
    order = common_order(lowering, node)
    axis = int(node.attributes["axis"]) % len(order)
    parts = [
        lowering.constant(name, as_float32(lowering.graph.constants[name]).transpose(order))
        if name in lowering.graph.constants
        else lowering.read(name, order)
        for name in node.inputs
    ]
    target = lowering.write(node.output, order)
    lowering.emit("CONCATENATION", parts, [target], Axis=order.index(axis))


def split(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Split into equal or unequal parts."""
    name = node.inputs[0]
    order = lowering.permutation(name)
    axis = int(node.attributes.get("axis", 0)) % len(order)
    sizes = [lowering.graph.shapes[output][axis] for output in node.outputs]
    source = lowering.read(name)
    targets = [lowering.write(output, order) for output in node.outputs]
    place = lowering.indices(f"{targets[0]}/axis", order.index(axis))
    if len(set(sizes)) == 1:
        lowering.emit("SPLIT", [place, source], targets, NumSplits=len(sizes))
    else:
        lengths = lowering.indices(f"{targets[0]}/sizes", sizes)
        lowering.emit("SPLIT_V", [source, lengths, place], targets, NumSplits=len(sizes))


def slice_(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Slice with positive steps."""
    name = node.inputs[0]
    shape, order = lowering.graph.shapes[name], lowering.permutation(name)
    rank = len(shape)
    starts, axes, steps = _slice_arguments(lowering, node, rank)
    begin, step = [0] * rank, [1] * rank
    for start, axis, stride in zip(starts, axes, steps, strict=True):
        if stride < 1:
            raise unsupported_error(node, "it runs backwards")
        size = shape[axis]
        begin[axis] = min(max(start + size if start < 0 else start, 0), size)
        step[axis] = stride
    source = lowering.read(name)
    target = lowering.write(node.output, order)
    emit_slice(lowering, source, target, layout.permute(begin, order), layout.permute(step, order))


def _slice_arguments(
    lowering: Lowering, node: OnnxNode, rank: int
) -> tuple[list[int], list[int], list[int]]:
    """Starts, axes and steps, which are inputs since operator set 10."""
    starts, axes, steps = (
        list(node.ints(attribute)) if value is None else [int(item) for item in value.reshape(-1)]
        for attribute, value in (
            ("starts", lowering.graph.constant(node, 1)),
            ("axes", lowering.graph.constant(node, 3)),
            ("steps", lowering.graph.constant(node, 4)),
        )
    )
    places = [axis % rank for axis in axes] or list(range(len(starts)))
    return starts, places, steps or [1] * len(starts)


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


def emit_gather(
    lowering: Lowering, source: str, target: str, indices: NDArray[Any], place: int
) -> None:
    """Takes the elements at ``indices`` along dimension ``place``; outside ones are the border's."""
    inside = np.clip(indices, 0, lowering.shape(source)[place] - 1)
    taken = lowering.indices(f"{target}/indices", inside)
    lowering.emit("GATHER", [source, taken], [target], Axis=place)
