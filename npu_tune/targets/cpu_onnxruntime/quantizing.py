"""What is quantised in a configuration, and by which numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.targets.measured.calibration import LEVELS
from npu_tune.targets.measured.layers import FoldedLayer

WEIGHT_LEVELS = 127
"""Weights are symmetric about zero."""

_MOST_BIAS = 2.0**30
"""Of the 2**31 that an int32 holds; the sums it is added to need the rest."""


@dataclass(frozen=True)
class Affine:
    """``real = scale * (code - zero)`` with codes from 0 to 255."""

    scale: np.float32
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> Affine:
        """The codes of a range that holds zero."""
        scale = np.float32(max(high - low, 1e-12) / (LEVELS - 1))
        return cls(scale, int(np.clip(round(-low / float(scale)), 0, LEVELS - 1)))


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """Weights of a layer in int8, one scale per output channel.

    Args:
        codes: as the weights.
        scales: per channel.
        axis: of the channels.
        bias: real; None where the layer has none.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    axis: int
    bias: NDArray[np.float32] | None

    def fit_bias(self, input_scale: np.float32) -> QuantizedWeights:
        """The same, with greater scales where a bias would need more than an int32."""
        if self.bias is None:
            return self
        least = np.abs(self.bias.astype(np.float64)) / (_MOST_BIAS * float(input_scale))
        scales = np.maximum(self.scales, least).astype(np.float32)
        if np.array_equal(scales, self.scales):
            return self
        shrunk = _along(self.scales / scales, self.axis, self.codes.ndim)
        codes = np.round(self.codes * shrunk).astype(np.int8)
        return replace(self, codes=codes, scales=scales)

    def integer_bias(self, scale: np.float32) -> NDArray[np.int32]:
        """The bias in steps of input times weights."""
        if self.bias is None:
            raise ValueError("The layer has no bias.")
        steps = np.round(self.bias.astype(np.float64) / (self.scales.astype(np.float64) * scale))
        return np.clip(steps, -_MOST_BIAS, _MOST_BIAS).astype(np.int32)


def quantize_weights(graph: OnnxGraph, layer: FoldedLayer) -> QuantizedWeights:
    """Rounds the weights of a product to int8."""
    node = layer.node
    weights = graph.constants[node.inputs[1]]
    bias = graph.constant(node, 2)
    axis = _channel_axis(node, weights)
    others = tuple(a for a in range(weights.ndim) if a != axis)
    scales = np.maximum(np.abs(weights).max(axis=others), 1e-12) / WEIGHT_LEVELS
    codes = np.round(weights / _along(scales, axis, weights.ndim))
    return QuantizedWeights(
        np.clip(codes, -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8),
        scales.astype(np.float32),
        axis,
        None if bias is None else bias.reshape(-1).astype(np.float32),
    )


def _along(values: NDArray[Any], axis: int, dimensions: int) -> NDArray[Any]:
    """One value per channel, in a shape that is broadcast over the weights."""
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)


def _channel_axis(node: OnnxNode, weights: NDArray[np.float32]) -> int:
    if node.op == "Conv":
        return 0
    if node.op == "Gemm":
        return 0 if node.attributes.get("transB") else 1
    return weights.ndim - 1
