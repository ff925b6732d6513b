"""The order of dimensions: ONNX puts channels second, TFLite last.

A *permutation* says which ONNX dimension each TFLite dimension is: a feature map N x C x H x W
that is stored as N x H x W x C has the permutation (0, 2, 3, 1). Transposing a tensor in ONNX
changes its permutation and moves no data; data moves only where an operator needs its input in
another order than the one it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Permutation = tuple[int, ...]
Shape = tuple[int, ...]

CHANNELS_LAST: Permutation = (0, 2, 3, 1)


def identity(rank: int) -> Permutation:
    """The permutation of a tensor in ONNX's order."""
    return tuple(range(rank))


def permuted(shape: Sequence[int], permutation: Permutation) -> Shape:
    """The shape in TFLite's order."""
    return tuple(shape[axis] for axis in permutation)


def after_transpose(permutation: Permutation, onnx_permutation: Permutation) -> Permutation:
    """The permutation of the same data after an ONNX Transpose."""
    return tuple(onnx_permutation.index(axis) for axis in permutation)


def axes_between(have: Permutation, want: Permutation) -> Permutation:
    """The TFLite TRANSPOSE that turns data of one permutation into that of another."""
    return tuple(have.index(axis) for axis in want)


def without_units(shape: Shape, permutation: Permutation) -> Permutation:
    """The dimensions of more than one element, in TFLite's order."""
    return tuple(axis for axis in permutation if shape[axis] != 1)


def same_data(shape: Shape, one: Permutation, other: Permutation) -> bool:
    """True where two orders differ at most in where dimensions of size one stand."""
    return without_units(shape, one) == without_units(shape, other)


@dataclass(frozen=True)
class ReshapePlan:
    """How to reshape data that is not in ONNX's order.

    Args:
        needed: the permutation the input must have.
        result: the permutation the output then has.
    """

    needed: Permutation
    result: Permutation


def plan_reshape(before: Shape, after: Shape, permutation: Permutation) -> ReshapePlan:
    """Finds the least movement of data that an ONNX reshape needs.

    Dimensions that are split or merged must lie side by side in ONNX's order; whole groups of
    them may stand anywhere. So splitting the channels of a channels-last tensor moves nothing.

    Args:
        before: ONNX shape of the input.
        after: ONNX shape of the output; as many elements.
        permutation: of the input as it is stored.
    """
    groups = _groups(before, after)
    position = {axis: place for place, axis in enumerate(without_units(before, permutation))}
    groups.sort(key=lambda group: min(position[axis] for axis in group[0]))
    order_in = [axis for sources, _ in groups for axis in sources]
    order_out = [axis for _, targets in groups for axis in targets]
    if tuple(order_in) == without_units(before, permutation):
        needed = permutation
    else:
        needed = _with_units(before, order_in)
    return ReshapePlan(needed=needed, result=_with_units(after, order_out))


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The finest partition of both shapes into runs of equal size; units are left out."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    groups = []
    while left:
        sources, targets = [left.pop(0)], [right.pop(0)]
        while True:
            size_in = math.prod(before[axis] for axis in sources)
            size_out = math.prod(after[axis] for axis in targets)
            if size_in == size_out:
                break
            if size_in < size_out:
                sources.append(left.pop(0))
            else:
                targets.append(right.pop(0))
        groups.append((sources, targets))
    return groups


def _with_units(shape: Shape, order: Sequence[int]) -> Permutation:
    """A full permutation with the given order of the dimensions that are not one."""
    rank = len(shape)
    usual = [CHANNELS_LAST] if rank == 4 else []
    for candidate in [*usual, identity(rank)]:
        if without_units(shape, candidate) == tuple(order):
            return candidate
    units = [axis for axis in range(rank) if shape[axis] == 1]
    return (*units, *order)


def squeezed_transpose(shape: Shape, axes: Permutation) -> tuple[Shape, Permutation]:
    """The same movement of data on as few dimensions as possible.

    Units are dropped and neighbours that stay neighbours are merged, because accelerators
    transpose few dimensions.

    Args:
        shape: TFLite shape of the input.
        axes: of TFLite's TRANSPOSE.

    Returns:
        The shape to give the input, and the axes to transpose it by.
    """
    kept = [axis for axis in axes if shape[axis] != 1]
    runs: list[list[int]] = []
    for axis in kept:
        previous = runs[-1][-1] if runs else None
        adjacent = previous is not None and all(
            shape[between] == 1 for between in range(previous + 1, axis)
        )
        if adjacent and previous is not None and previous < axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    ordered = sorted(runs)
    new_shape = tuple(math.prod(shape[axis] for axis in run) for run in ordered)
    return new_shape, tuple(ordered.index(run) for run in runs)


def transpose_steps(shape: Shape, axes: Permutation) -> list[tuple[Shape, Permutation]]:
    """A transpose as steps that accelerators have: the shape to view the data in, and the axes.

    Shuffling channels swaps the last two of three dimensions, which Vela 5.2.0 leaves to the CPU.
    Turning the channels to the front, swapping the first two dimensions there and turning them
    back gives the same, and each of these runs on the NPU.
    """
    if axes != (0, 2, 1):
        return [(shape, axes)]
    pixels, groups, channels = shape
    return [
        ((pixels, groups * channels), (1, 0)),
        ((groups, channels, pixels), (1, 0, 2)),
        ((channels * groups, pixels), (1, 0)),
    ]


def flat_order(shape: Shape, permutation: Permutation) -> list[int]:
    """For every element as stored, its index in the tensor that ONNX would flatten."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    indices = [0]
    for axis in permutation:
        indices = [base + step * strides[axis] for base in indices for step in range(shape[axis])]
    return indices
