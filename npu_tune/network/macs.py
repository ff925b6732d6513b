"""Counts the multiply-accumulates of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

from npu_tune.network.model import Layer, Network

_Counter = Callable[[Network, Layer], int]


def layer_macs(network: Network, layer: Layer) -> int:
    """Multiply-accumulates of one layer; 0 for one that multiplies element by element or not.

    Recurrent layers count every weight once per step, transforms four products per butterfly.
    """
    counter = _COUNTERS.get(layer.op)
    return counter(network, layer) if counter else 0


def network_macs(network: Network) -> int:
    """Multiply-accumulates of one inference, without biases and element-wise layers."""
    return sum(layer_macs(network, layer) for layer in network.layers)


def _weights(network: Network, layer: Layer) -> tuple[int, ...]:
    return _shape(network, layer, 1)


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
    source = _shape(network, layer, 0 if layer.op == "ConvTranspose" else 2)
    weights = _weights(network, layer)
    inputs = weights[0] if layer.op == "ConvTranspose" else weights[3]
    return math.prod(source) * math.prod(weights) // inputs


def _product(network: Network, layer: Layer) -> int:
    source = _shape(network, layer, 0)
    inner = source[0] if layer.attributes.get("transA") else source[-1]
    return math.prod(_output(network, layer)) * inner


def _batch_product(network: Network, layer: Layer) -> int:
    source = _shape(network, layer, 0)
    inner = math.prod(source[-2:-1] if layer.attributes.get("adj_x") else source[-1:])
    return math.prod(_output(network, layer)) * inner


def _quantized_convolution(network: Network, layer: Layer) -> int:
    return math.prod(_output(network, layer)) * math.prod(_shape(network, layer, 3)[1:])


def _convolution_3d(network: Network, layer: Layer) -> int:
    return math.prod(_output(network, layer)) * math.prod(_weights(network, layer)[:-1])


def _transposed_convolution_3d(network: Network, layer: Layer) -> int:
    taps_and_results = math.prod(_weights(network, layer)[:-1])
    return math.prod(_shape(network, layer, 2)) * taps_and_results


def _recurrent(network: Network, layer: Layer) -> int:
    """Each vector of the input meets every weight, those of ONNX or every matrix of TFLite."""
    if network.format == "onnx":
        weights = layer.inputs[1:3]
    else:
        weights = tuple(
            name
            for name in layer.inputs[1:]
            if name and name not in network.state and len(network.tensors[name].shape) == 2
        )
    vectors = math.prod(_shape(network, layer, 0)[:-1])
    return vectors * sum(network.tensors[name].elements for name in weights)


def _transform_2d(network: Network, layer: Layer) -> int:
    shape = _shape(network, layer, 0)
    return _butterflies(math.prod(shape), math.prod(shape[-2:]))


def _transform(network: Network, layer: Layer) -> int:
    shape = _shape(network, layer, 0)
    axis = int(layer.attributes.get("axis", -2))
    return _butterflies(
        math.prod(shape[:-1]), shape[axis] if -len(shape) <= axis < len(shape) else 1
    )


def _butterflies(points: int, length: int) -> int:
    """A fast transform has log2(length) stages of a complex product for two points each."""
    return 2 * points * (length - 1).bit_length()


def _contraction(network: Network, layer: Layer) -> int:
    """Each result takes one product per element of the dimensions that are summed over."""
    source = _shape(network, layer, 0)
    summed = layer.attributes.get("lhs_contracting_dimensions", ())
    inner = math.prod(source[int(axis)] for axis in summed if 0 <= axis < len(source))
    return math.prod(_output(network, layer)) * inner


def _einsum(network: Network, layer: Layer) -> int:
    """One product per combination of all indices; none is counted where some are not named."""
    terms = str(layer.attributes.get("equation", "")).replace(" ", "").split("->")[0].split(",")
    shapes = [_shape(network, layer, place) for place in range(len(layer.inputs))]
    named = len(terms) == len(shapes) > 1 and "." not in "".join(terms)
    if not named:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        sizes |= dict(zip(term, shape, strict=False))
    return math.prod(sizes.values())


def _shape(network: Network, layer: Layer, position: int) -> tuple[int, ...]:
    return network.tensors[layer.inputs[position]].shape


_COUNTERS: dict[str, _Counter] = {
    "CONV_2D": _per_output,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "FULLY_CONNECTED": _per_output,
    "TRANSPOSE_CONV": _transposed_convolution,
    "BATCH_MATMUL": _batch_product,
    "CONV_3D": _convolution_3d,
    "CONV_3D_TRANSPOSE": _transposed_convolution_3d,
    "RFFT2D": _transform_2d,
    "STABLEHLO_DOT_GENERAL": _contraction,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "LSTM": _recurrent,
    "RNN": _recurrent,
    "SVDF": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "Conv": _per_output,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _product,
    "MatMul": _product,
    "ConvInteger": _per_output,
    "MatMulInteger": _product,
    "QLinearConv": _quantized_convolution,
    "QLinearMatMul": _product,
    "DFT": _transform,
    "Einsum": _einsum,
    "GRU": _recurrent,
}
