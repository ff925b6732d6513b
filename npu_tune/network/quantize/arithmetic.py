"""The arithmetic of int8 quantization, after TFLite's specification.

Source: the public "TensorFlow Lite 8-bit quantization specification": activations int8 with one
scale and zero point, weights int8 and symmetric with a scale per channel, biases int32 with the
product of both scales and no zero point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import Array

LOWEST, HIGHEST = -128, 127
_STEPS = HIGHEST - LOWEST
_LARGEST_BIAS = 2**30
"""Half of what int32 holds, so that the sum of products still fits beside the bias."""
_SMALLEST_SCALE = 1e-12
"""Keeps the scale of a tensor of zeros a normal float32 number."""


@dataclass(frozen=True)
class Parameters:
    """Scales and zero point of a quantized tensor: one scale, or one per slice along ``axis``."""

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0


def parameters_for(low: float, high: float) -> Parameters:
    """Computes scale and zero point for values from ``low`` to ``high``.

    Zero is represented exactly, because padding and ReLU produce it.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / _STEPS, _SMALLEST_SCALE)))
    zero_point = int(np.clip(round(LOWEST - low / scale), LOWEST, HIGHEST))
    return Parameters((scale,), zero_point)


def quantize(values: Array, parameters: Parameters) -> NDArray[np.int8]:
    """Quantizes real values to int8 codes; values out of range saturate."""
    codes = np.rint(values.astype(np.float64) / _scales(parameters, values.ndim))
    limited: Array = np.clip(codes + parameters.zero_point, LOWEST, HIGHEST)
    return limited.astype(np.int8)


def dequantize(codes: Array, parameters: Parameters) -> NDArray[np.float32]:
    """Computes the real values of int8 codes."""
    shifted = codes.astype(np.float64) - parameters.zero_point
    return (shifted * _scales(parameters, codes.ndim)).astype(np.float32)


def _scales(parameters: Parameters, rank: int) -> NDArray[np.float64]:
    """The scales, in a shape that broadcasts with a tensor of ``rank`` dimensions."""
    scales = np.asarray(parameters.scales, np.float64)
    if scales.size == 1:
        return scales.reshape(())
    return scales.reshape([-1 if axis == parameters.axis else 1 for axis in range(rank)])


def weight_parameters(
    weights: Array, *, axis: int, bias: Array | None = None, input_scale: float = 1.0
) -> Parameters:
    """Computes symmetric scales per channel, large enough for the biases to fit 32 bits.

    Args:
        weights: real weights.
        axis: of the output channels.
        bias: real biases, one per channel.
        input_scale: scale of the layer's input, which is a factor of the biases' scales.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    largest = np.abs(weights.astype(np.float64)).max(axis=others)
    scales = largest / HIGHEST
    if bias is not None:
        scales = np.maximum(
            scales, np.abs(bias.astype(np.float64)) / (input_scale * _LARGEST_BIAS)
        )
    scales = np.maximum(scales, _SMALLEST_SCALE).astype(np.float32)
    return Parameters(tuple(float(scale) for scale in scales), 0, axis)


def bias_parameters(input_parameters: Parameters, weights: Parameters) -> Parameters:
    """The scales of the biases: the scale of the input times those of the weights."""
    scale = np.float32(input_parameters.scales[0])
    return Parameters(tuple(float(scale * np.float32(other)) for other in weights.scales))


def quantize_bias(bias: Array, parameters: Parameters) -> NDArray[np.int32]:
    """Quantizes real biases to int32 codes."""
    codes = np.rint(bias.astype(np.float64) / np.asarray(parameters.scales, np.float64))
    limits = np.iinfo(np.int32)
    return np.clip(codes, limits.min, limits.max).astype(np.int32)
