"""Entropy of weights, which bounds their lossless compression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.model import dtype_bits

Array = NDArray[Any]
_CODES = 256


def entropy_bits(values: Array, *, channel_axis: int | None) -> float:
    """Computes the Shannon entropy of one int8 weight, in bits.

    Real weights are quantized first as converters do: symmetrically, with a scale per output
    channel. Integers of up to 16 bits are used as they are.

    Args:
        values: the weights, of any shape.
        channel_axis: dimension of the output channels; None for one scale for all.
    """
    if values.size == 0 or not any(values.strides):
        return 0.0  # one value, broadcast to the whole array
    codes: Array
    if values.dtype in (np.int16, np.uint16):
        codes = values.reshape(-1).view(np.uint16)
    elif values.dtype in (np.int8, np.uint8):
        codes = values.reshape(-1).view(np.uint8)
    elif dtype_bits(values.dtype.name) < 8:
        codes = values.astype(np.int8).reshape(-1).view(np.uint8)
    else:
        codes = _quantize_weights(values, channel_axis).reshape(-1).view(np.uint8)
    counts = np.bincount(codes, minlength=_CODES)
    shares = counts[counts > 0] / codes.size
    return abs(float(-np.sum(shares * np.log2(shares))))


def _quantize_weights(values: Array, channel_axis: int | None) -> NDArray[np.int8]:
    real = np.nan_to_num(values.astype(np.float32, copy=False))
    others = tuple(axis for axis in range(real.ndim) if axis != channel_axis)
    largest = np.max(np.abs(real), axis=others, keepdims=True)
    # Keeps the scale of a channel of zeros or denormal numbers positive.
    scale = np.maximum(largest / 127, np.finfo(np.float32).tiny)
    codes: NDArray[np.int8] = np.clip(np.rint(real / scale), -127, 127).astype(np.int8)
    return codes
