"""Layouts: the order of dimensions, with channels second in ONNX and last in TFLite.

A *permutation* gives the ONNX dimension of each TFLite dimension: a feature map N x C x H x W that
is stored as N x H x W x C has the permutation (0, 2, 3, 1). An ONNX Transpose only changes the
permutation of a tensor; data moves only where an operator needs its input in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Permutation = tuple[int, ...]
Shape = tuple[int, ...]

CHANNELS_LAST: Permutation = (0, 2, 3, 1)


def identity(rank: int) -> Permutation:
    """The permutation of a tensor that is stored in ONNX's order."""
    return tuple(range(rank))


def permute(shape: Sequence[int], permutation: Permutation) -> Shape:
    """Permutes an ONNX shape to the TFLite shape."""
    return tuple(shape[axis] for axis in permutation)


def after_transpose(permutation: Permutation, onnx_permutation: Permutation) -> Permutation:
    """The permutation of the same data after an ONNX Transpose."""
    return tuple(onnx_permutation.index(axis) for axis in permutation)


def axes_between(have: Permutation, want: Permutation) -> Permutation:
    """The axes of the TFLite TRANSPOSE from one permutation to another."""
    return tuple(have.index(axis) for axis in want)


def without_units(shape: Shape, permutation: Permutation) -> Permutation:
    """The ONNX dimensions of a size other than one, in TFLite's order."""
    return tuple(axis for axis in permutation if shape[axis] != 1)


def same_data(shape: Shape, one: Permutation, other: Permutation) -> bool:
    """Tells whether two permutations differ only in the places of dimensions of size one."""
    return without_units(shape, one) == without_units(shape, other)


@dataclass(frozen=True)
class ReshapePlan:
    """The permutations before and after a reshape of data that is not in ONNX's order.

    Args:
        needed: permutation that the input must have.
        result: permutation of the output.
    """

    needed: Permutation
    result: Permutation


def plan_reshape(before: Shape, after: Shape, permutation: Permutation) -> ReshapePlan:
    """Plans an ONNX reshape that moves as little data as possible.

    Dimensions that are split or merged must be adjacent in ONNX's order; groups of them may be in
    any order. So splitting the channels of a channels-last tensor moves no data.

    Args:
        before: ONNX shape of the input.
        after: ONNX shape of the output, of equally many elements.
        permutation: of the stored input.
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
    """The finest partition of both shapes into groups of equal size, without unit sizes."""
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
    """A full permutation with a given order of the dimensions that are not of size one."""
    rank = len(shape)
    usual = [CHANNELS_LAST] if rank == 4 else []
    for candidate in [*usual, identity(rank)]:
        if without_units(shape, candidate) == tuple(order):
            return candidate
    units = [axis for axis in range(rank) if shape[axis] == 1]
    return (*units, *order)


def squeezed_transpose(shape: Shape, axes: Permutation) -> tuple[Shape, Permutation]:
    """Reduces a transpose to as few dimensions as possible, as accelerators support few.

    Unit sizes are dropped, and neighbours that stay neighbours are merged.

    Args:
        shape: TFLite shape of the input.
        axes: of TFLite's TRANSPOSE.

    Returns:
        The shape to reshape the input to, and the axes to transpose it by.
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
    """Splits a transpose into ones that accelerators support.

    A channel shuffle swaps the last two of three dimensions, which Vela 5.2.0 leaves to the CPU.
    Moving the channels to the front, swapping the first two dimensions and moving the channels
    back is equivalent, and each of these runs on the NPU.

    Returns:
        Per step, the shape to reshape the data to and the axes to transpose it by.
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
    """Per stored element, its index in the flattened ONNX tensor."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    indices = [0]
    for axis in permutation:
        indices = [base + step * strides[axis] for base in indices for step in range(shape[axis])]
    return indices
