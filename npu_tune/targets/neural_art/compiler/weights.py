"""Bytes of weights in flash."""

from __future__ import annotations

from math import ceil

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.graph import Operation, OperationKind

CONSTANT_BYTES = 4
"""Per output channel, for the bias. Agrees with ST's publications on MobileNet v1 and v2 within
0.1 %."""

UNROLLED_BYTES = 32 * 1024
_UNROLLED_ABOVE_CHANNELS = 512
_UNROLLED_ABOVE_ELEMENTS = 32 * 1024
"""ST's publications show 32 KiB of constants for every convolution, depthwise ones included, with
more than 512 output channels (the rows admit 512 to 526) and more than 32 Ki output elements (28 to
47 thousand). The explanation is a guess: the constants exceed the arithmetic unit's own memory and
are unrolled into a stream. The bytes are as published."""

_LOSSLESS_OVERHEAD = 1.02
_CODE_TABLE_BYTES = 256
"""Assumed, not published: the table of a canonical prefix code, and 2 % above the entropy, which such
codes reach on weights of some kilobytes."""


def stored_weight_bytes(
    operation: Operation, shape: Shape, *, bits: int = 8, compressed: bool = False
) -> int:
    """Bytes in flash of weights and of the constants of output channels.

    Args:
        operation: that has the weights.
        shape: of the operation.
        bits: per weight.
        compressed: whether by a lossless code; never larger than uncompressed.
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
    """Bytes in flash that are streamed while the operation runs.

    The vendor compiler's reports count no flash traffic for the constants of output channels,
    which are loaded before the epoch starts, unless they are unrolled.

    Args:
        stored: bytes in flash.
        shape: of the operation.
    """
    return stored if _is_unrolled(shape) else max(0, stored - _constants(shape))


def _constants(shape: Shape) -> int:
    if shape.kind not in (OperationKind.CONVOLUTION, OperationKind.ARITHMETIC):
        return 0
    return UNROLLED_BYTES if _is_unrolled(shape) else CONSTANT_BYTES * shape.channels_out


def _is_unrolled(shape: Shape) -> bool:
    is_wide = shape.channels_out > _UNROLLED_ABOVE_CHANNELS
    return is_wide and shape.elements_out > _UNROLLED_ABOVE_ELEMENTS
