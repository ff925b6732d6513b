"""Chooses the range of values that the 256 codes of a tensor stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from npu_tune.network.quantize.calibrate import Statistics

Range = tuple[float, float]


def choose_ranges(
    statistics: Mapping[str, Statistics], stated: Mapping[str, Range]
) -> dict[str, Range]:
    """The range of every tensor: what the file states, else all that calibration saw.

    Cutting rare extremes off for a smaller squared error was tried on the zoo and on trained
    networks: it moved results by -1.6 to +2.3 dB, mostly by nothing.
    """
    return {
        name: stated[name] if name in stated else _round_range((seen.low, seen.high))
        for name, seen in statistics.items()
    }


def _round_range(limits: Range) -> Range:
    """Limits with ten significant bits.

    Processors round sums differently in the last bits; without them every machine writes the
    same file.
    """
    low, high = (math.ldexp(round(m * 1024), e - 10) for m, e in map(math.frexp, limits))
    return low, high
