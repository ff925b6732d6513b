"""Lowers operators that only move data: reshape, transpose, concat, split, slice, pad."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import OnnxNode, as_float32
from npu_tune.network.quantize import layout
from npu_tune.network.quantize.lowering import Lowering, unsupported_error
from npu_tune.network.quantize.ops_conv import REFLECT, emit_slice
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
    found: list[list[int] | None] = []
    for position, attribute in ((1, "starts"), (3, "axes"), (4, "steps")):
        value = lowering.graph.constant(node, position)
        if value is not None:
            found.append([int(item) for item in value.reshape(-1)])
        elif position < len(node.inputs) and node.inputs[position]:
            raise unsupported_error(node, f"its {attribute} are computed at run time")
        else:
            found.append([*node.ints(attribute)] if attribute in node.attributes else None)
    starts, axes, steps = found
    if starts is None:
        raise unsupported_error(node, "it does not say where it starts")
    places = [axis % rank for axis in axes] if axes is not None else list(range(len(starts)))
    return starts, places, steps or [1] * len(starts)


def pad(lowering: Lowering, node: OnnxNode) -> None:
    """Lowers Pad with zeros or with a reflection at the border."""
    name = node.inputs[0]
    order = lowering.permutation(name)
    rank = len(order)
    given = lowering.graph.constant(node, 1)
    pads = node.ints("pads") if given is None else tuple(int(item) for item in given)
    value = lowering.graph.constant(node, 2)
    amount = float(node.attributes.get("value", 0.0) if value is None else value.reshape(-1)[0])
    mode = node.attributes.get("mode", b"constant")
    axes_given = lowering.graph.constant(node, 3)
    axes = list(range(rank)) if axes_given is None else [int(axis) % rank for axis in axes_given]
    known = len(pads) == 2 * len(axes) and min(pads) >= 0
    if not known or mode not in (b"constant", b"reflect") or (mode == b"constant" and amount):
        raise unsupported_error(
            node, "only zeros and reflections can, by numbers known beforehand"
        )
    amounts = np.zeros((rank, 2), np.int32)
    for place, axis in enumerate(axes):
        amounts[axis] = (pads[place], pads[place + len(axes)])
    source = lowering.read(name)
    target = lowering.write(node.output, order)
    inputs = [source, lowering.indices(f"{target}/pads", amounts[list(order)])]
    if mode == b"reflect":
        lowering.emit("MIRROR_PAD", inputs, [target], Mode=REFLECT)
    else:
        lowering.emit("PAD", inputs, [target])
