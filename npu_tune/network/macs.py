"""Counts the multiply-accumulates of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

from npu_tune.network.model import Layer, Network

_Counter = Callable[[Network, Layer], int]


def layer_macs(network: Network, layer: Layer) -> int:
    """Multiply-accumulates of a convolution or matrix product; 0 for any other layer."""
    counter = _COUNTERS.get(layer.op)
    return counter(network, layer) if counter else 0


def network_macs(network: Network) -> int:
    """Multiply-accumulates of one inference, without biases and element-wise layers."""
    return sum(layer_macs(network, layer) for layer in network.layers)


def _weights(network: Network, layer: Layer) -> tuple[int, ...]:
    return network.tensors[layer.inputs[1]].shape


def _output(network: Network, layer: Layer) -> tuple[int, ...]:
    return network.tensors[layer.outputs[0]].shape


def _per_output(network: Network, layer: Layer) -> int:
    """Each output element takes one product per weight of its channel."""
    return math.prod(_output(network, layer)) * math.prod(_weights(network, layer)[1:])


def _depthwise_convolution(network: Network, layer: Layer) -> int:
    _, height, width, _ = _weights(network, layer)
    return math.prod(_output(network, layer)) * height * width


def _transposed_convolution(network: Network, layer: Layer) -> int:
    """Each input element takes one product per weight of its channel."""
    source = network.tensors[layer.inputs[0 if layer.op == "ConvTranspose" else 2]].shape
    weights = _weights(network, layer)
    inputs = weights[0] if layer.op == "ConvTranspose" else weights[3]
    return math.prod(source) * math.prod(weights) // inputs


def _product(network: Network, layer: Layer) -> int:
    source = network.tensors[layer.inputs[0]].shape
    inner = source[0] if layer.attributes.get("transA") else source[-1]
    return math.prod(_output(network, layer)) * inner


_COUNTERS: dict[str, _Counter] = {
    "CONV_2D": _per_output,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "FULLY_CONNECTED": _per_output,
    "TRANSPOSE_CONV": _transposed_convolution,
    "Conv": _per_output,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _product,
    "MatMul": _product,
}
