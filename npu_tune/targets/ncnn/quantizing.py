"""Weights in int8 as ncnn stores them: symmetric, one scale per output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.targets.ncnn.program import NcnnLayer, Weights

LEVELS = 127
"""Codes go from -127 to 127."""

_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class CodedWeights:
    """Weights of a layer.

    Args:
        codes: in the order of the weights.
        factors: codes per unit, by output channel.
    """

    codes: NDArray[np.int8]
    factors: NDArray[np.float32]


def code_weights(layer: NcnnLayer) -> CodedWeights:
    """Rounds the weights of a product to int8."""
    product = layer.product
    if product is None:
        raise ValueError(f"{layer.output!r} has no weights.")
    rows = layer.weights[0].reshape(product.channels, -1)
    factors = code_factor(np.abs(rows).max(axis=1))
    codes = np.clip(np.rint(rows * factors[:, None]), -LEVELS, LEVELS).astype(np.int8)
    return CodedWeights(codes.reshape(-1), factors)


def code_factor(limits: Weights | float) -> NDArray[np.float32]:
    """Codes per unit of what is at most so far from zero."""
    return np.asarray(LEVELS / np.maximum(limits, _LEAST), np.float32)
