"""Entropy of weights, which bounds their lossless compression."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.model import dtype_bits

Array = NDArray[Any]
_Place = tuple[slice, ...]
_CODES = 256
_CODED = (np.int8, np.uint8, np.int16, np.uint16)
"""Types whose values are counted as they are, like those of less than 8 bits."""
_PIECE = 1 << 22
"""Weights that are counted at a time, as counting them takes some times their memory."""


def entropy_bits(values: Array, *, channel_axis: int | None) -> float:
    """Computes the Shannon entropy of one int8 weight, in bits.

    Real weights are quantized first as converters do: symmetrically, with a scale per output
    channel. Integers of up to 16 bits are used as they are.

    Args:
        values: the weights, of any shape.
        channel_axis: dimension of the output channels; None for one scale for all.
    """
    # What is broadcast along a dimension is distributed in the same way without it.
    values = values[tuple(slice(None) if step else slice(1) for step in values.strides)]
    if values.size <= 1:
        return 0.0
    coded = values.dtype in _CODED or dtype_bits(values.dtype.name) < 8
    scale = None if coded else _scale(values, channel_axis)
    counts = np.zeros(_CODES, np.int64)
    for place in _pieces(values.shape):
        counted = np.bincount(_codes(values, scale, place), minlength=counts.size)
        counted[: counts.size] += counts
        counts = counted
    shares = counts[counts > 0] / values.size
    return abs(float(-np.sum(shares * np.log2(shares))))


def _pieces(shape: tuple[int, ...]) -> Iterator[_Place]:
    """Where the parts of an array are, none of which has many elements."""
    rows = max(1, _PIECE // math.prod(shape[1:]))
    for start in range(0, shape[0], rows):
        part = slice(start, min(start + rows, shape[0]))
        if rows == 1 and len(shape) > 1:
            yield from ((part, *rest) for rest in _pieces(shape[1:]))
        else:
            yield (part, *(slice(None) for _ in shape[1:]))


def _codes(values: Array, scale: Array | None, place: _Place) -> NDArray[Any]:
    """The codes of some weights as unsigned integers, in one dimension."""
    piece = values[place]
    if scale is not None:
        known = np.broadcast_to(scale, values.shape)[place]
        piece = np.clip(np.rint(_real(piece) / known), -127, 127).astype(np.int8)
    elif dtype_bits(piece.dtype.name) < 8:
        piece = piece.astype(np.int8)
    return piece.reshape(-1).view(f"uint{8 * piece.itemsize}")


def _scale(values: Array, channel_axis: int | None) -> NDArray[np.float32]:
    """The scale of each output channel, with as many dimensions as the weights."""
    others = tuple(axis for axis in range(values.ndim) if axis != channel_axis)
    shape = [1 if axis in others else size for axis, size in enumerate(values.shape)]
    largest = np.zeros(shape, np.float32)
    for place in _pieces(values.shape):
        channels = tuple(slice(None) if a in others else part for a, part in enumerate(place))
        found = np.max(np.abs(_real(values[place])), axis=others, keepdims=True)
        np.maximum(largest[channels], found, out=largest[channels])
    # Keeps the scale of a channel of zeros or denormal numbers positive.
    return np.maximum(largest / 127, np.finfo(np.float32).tiny)


def _real(values: Array) -> NDArray[np.float32]:
    return np.nan_to_num(values.astype(np.float32, copy=False))
