"""Chooses the range of values that the 256 codes of a tensor stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.quantize.arithmetic import parameters_for
from npu_tune.network.quantize.calibrate import Statistics

_SHRINKS = np.linspace(0.95, 0.5, 10)
_LOOKED_AT = 8192

Range = tuple[float, float]


def choose_ranges(
    statistics: Mapping[str, Statistics], stated: Mapping[str, Range]
) -> dict[str, Range]:
    """The range of every tensor: what the file states, else the one with the least error."""
    return {
        name: stated[name] if name in stated else _coarse(least_error_range(seen))
        for name, seen in statistics.items()
    }


def _coarse(limits: Range) -> Range:
    """Limits with ten significant bits.

    Processors round sums differently in the last bits; without them every machine writes the
    same file.
    """
    low, high = (math.ldexp(round(m * 1024), e - 10) for m, e in map(math.frexp, limits))
    return low, high


def least_error_range(seen: Statistics) -> Range:
    """Shrinks the limits seen while that lowers the mean squared error of rounding and clipping.

    Rare extremes would otherwise make every step coarse.
    """
    values = seen.values[:: max(seen.values.size // _LOOKED_AT, 1)].astype(np.float64)
    values = np.concatenate([values, [seen.low, seen.high]])
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    best, least = (low, high), _error(values, low, high)
    for upper in (True, False):
        for shrink in _SHRINKS:
            trial = (best[0], high * shrink) if upper else (low * shrink, best[1])
            error = _error(values, *trial)
            if error < least:
                best, least = trial, error
    return best


def _error(values: NDArray[np.float64], low: float, high: float) -> float:
    parameters = parameters_for(low, high)
    scale, zero_point = parameters.scales[0], parameters.zero_point
    codes = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float(np.mean(np.square((codes - zero_point) * scale - values)))
