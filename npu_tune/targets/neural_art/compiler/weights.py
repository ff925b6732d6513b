"""How many bytes the weights of an operation take in flash."""

from __future__ import annotations

from math import ceil

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.graph import Operation

CONSTANT_BYTES = 4
"""Per output channel: the bias. Fits what ST publishes for MobileNet v1 and v2 within 0.1 %."""

UNROLLED_BYTES = 32 * 1024
_UNROLLED_ABOVE_CHANNELS = 512
_UNROLLED_ABOVE_ELEMENTS = 32 * 1024
"""What ST publishes shows 32 KiB of constants for every convolution with more than 512 output
channels (the rows admit 512 to 526) and more than 32 Ki output elements (28 to 47 thousand),
depthwise ones too. That an arithmetic unit's own memory is too small for their constants, so that
they are unrolled into a stream, is a guess; the bytes are not."""

_LOSSLESS_OVERHEAD = 1.02
_CODE_TABLE_BYTES = 256
"""This model's own choice: a canonical prefix code's table, and 2 % above the entropy, which is
what such codes reach on weights of some kilobytes."""


def stored_weight_bytes(
    operation: Operation, shape: Shape, *, bits: int = 8, compressed: bool = False
) -> int:
    """Bytes in flash for weights and the constants of output channels.

    Args:
        operation: whose weights.
        shape: of the operation.
        bits: per weight.
        compressed: by a lossless code; never larger than without.
    """
    weights = operation.weights
    if weights is None:
        return 0
    # Core 3.0 stores the kernels of depthwise convolutions with a stride twice.
    twice = shape.is_depthwise and shape.stride > 1
    elements = weights.elements * (2 if twice else 1)
    plain = ceil(elements * bits / 8)
    if compressed:
        share = min(weights.entropy_bits, bits) / 8
        plain = min(plain, ceil(elements * share * _LOSSLESS_OVERHEAD) + _CODE_TABLE_BYTES)
    return plain + _constants(shape)


def streamed_weight_bytes(stored: int, shape: Shape) -> int:
    """Of the bytes in flash, those that stream in while the operation runs.

    The vendor compiler's reports count no flash traffic for the constants of output channels,
    which are there before an epoch starts; unrolled ones cannot be.

    Args:
        stored: bytes in flash.
        shape: of the operation.
    """
    return stored if _is_unrolled(shape) else max(0, stored - _constants(shape))


def _constants(shape: Shape) -> int:
    return UNROLLED_BYTES if _is_unrolled(shape) else CONSTANT_BYTES * shape.channels_out


def _is_unrolled(shape: Shape) -> bool:
    is_wide = shape.channels_out > _UNROLLED_ABOVE_CHANNELS
    return is_wide and shape.elements_out > _UNROLLED_ABOVE_ELEMENTS
