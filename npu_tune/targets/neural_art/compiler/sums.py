"""Partial sums in RAM, where an operation passes over its output more than once."""

from __future__ import annotations

from math import ceil

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.compiler.choice import INPUT_CHANNELS, KERNELS, Choice

PARTIAL_SUM_BYTES = 4
"""Of an int32 accumulator, written and read between two passes over the same output: between the
parts of a window that is larger than 3 x 3, and between parts over input channels."""

_PLANE_KERNELS = 16
"""Kernels that an accelerator computes side by side. The external RAM that ST publishes for networks
with a first window of 7 x 7 is as large as one output map for each 16 kernels: 4.000 maps with 64
kernels (ResNet50 v2, SqueezeNext), 6.000 with 96 (SqueezeNet v1.0); why is not known. Their RAM on
the chip has room for the output and another map of its size."""


def partial_sums(
    shape: Shape, choice: Choice, *, share: float | None = None
) -> tuple[int, tuple[int, ...]]:
    """Bytes of partial sums that are moved, and blocks of RAM for them.

    Parts over kernels or stripes are finished one after the other, so that each needs room for its
    own sums alone.

    Args:
        shape: of the operation.
        choice: effective.
        share: of the output, the most that a stripe of a depth-first segment computes; None outside.
    """
    over_channels = choice.parts_over == INPUT_CHANNELS
    passes = shape.rounds * (choice.parts if over_channels else 1)
    if passes == 1:
        return 0, ()
    kernels = shape.channels_out
    if choice.parts_over == KERNELS:
        kernels = ceil(kernels / choice.parts)
    together = shape.elements_out if over_channels else ceil(shape.elements_out / choice.parts)
    if share is not None:
        together = round(shape.elements_out * share)
    moved = 2 * PARTIAL_SUM_BYTES * shape.elements_out * (passes - 1)
    if shape.rounds == 1:
        return moved, (PARTIAL_SUM_BYTES * together,)
    bytes_each = max(PARTIAL_SUM_BYTES, ceil(kernels / _PLANE_KERNELS))
    return moved, (bytes_each * together, together)
