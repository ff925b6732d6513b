"""Signal and noise: how far the values of a tensor are from what they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from npu_tune.network.onnx.graph import Array

MOST_DB = 200.0
"""More than single precision tells apart; stands for equal values."""


@dataclass(frozen=True)
class Noise:
    """Sums of squares over values; those of several runs add up.

    Args:
        signal: of the values wanted; their number where they are no real numbers.
        error: of the differences; the number of unlike ones where they are no real numbers.
    """

    signal: float = 0.0
    error: float = 0.0

    @classmethod
    def of(cls, wanted: Array, have: Array) -> Noise:
        """The noise of values; infinite where they have another shape, or are not finite."""
        if wanted.shape != have.shape:
            return cls(1.0, math.inf)
        if wanted.dtype.kind != "f":
            return cls(float(wanted.size), float(np.count_nonzero(wanted != have)))
        reference, result = wanted.astype(np.float64), have.astype(np.float64)
        if not (np.isfinite(reference).all() and np.isfinite(result).all()):
            return cls(1.0, math.inf)
        return cls(
            float(np.sum(np.square(reference))), float(np.sum(np.square(reference - result)))
        )

    def __add__(self, other: Noise) -> Noise:
        return Noise(self.signal + other.signal, self.error + other.error)

    @property
    def decibels(self) -> float:
        """``10 log10(signal / error)``, within -200 and 200; 200 where nothing differs."""
        if self.error <= 0.0:
            return MOST_DB
        if self.signal <= 0.0 or math.isinf(self.error):
            return -MOST_DB
        return min(max(10.0 * math.log10(self.signal / self.error), -MOST_DB), MOST_DB)

    @property
    def share(self) -> float:
        """Error per signal, at most 1: at 0 dB nothing of the signal is left."""
        return min(math.pow(10.0, -self.decibels / 10.0), 1.0)
