"""Convolutions and matrix products with constant weights, and what ncnn fuses into them."""

from __future__ import annotations

import math

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.ncnn.operators.pointwise import clip_limits, gate_of
from npu_tune.targets.ncnn.operators.windows import read_window
from npu_tune.targets.ncnn.program import Parameter, Product, Weights
from npu_tune.targets.ncnn.translator import Operator, Translator

_ACTIVATION, _ACTIVATION_VALUES = 9, 10


def _convolution(translator: Translator, node: OnnxNode) -> None:
    weights = _constant(translator, node, 1)
    bias = _bias(translator, node, weights.shape[0])
    window = read_window(translator, node, weights.shape[2:])
    groups = int(node.attributes.get("group", 1))
    channels, height, width = _image(translator, node.output)
    (top, left), (bottom, right) = window.before, window.behind
    parameters: dict[int, Parameter] = {
        0: channels,
        1: window.kernel[1],
        11: window.kernel[0],
        2: window.dilations[1],
        12: window.dilations[0],
        3: window.strides[1],
        13: window.strides[0],
        4: left,
        15: right,
        14: top,
        16: bottom,
        5: 1,
        6: weights.size,
    }
    if groups > 1:
        parameters[7] = groups
    source = node.inputs[0]
    blob = translator.read(node, source, _image(translator, source))
    product = Product(
        _layer_name(translator, node),
        channels,
        groups,
        window.kernel,
        window.is_plain,
    )
    output = _fuse(translator, node, parameters)
    translator.emit(
        "ConvolutionDepthWise" if groups > 1 else "Convolution",
        [blob],
        output,
        parameters,
        weights=(_plain(weights), bias),
        tagged=True,
        shape=(channels, height, width),
        product=product,
    )


def _image(translator: Translator, tensor: str) -> tuple[int, int, int]:
    """The shape of a blob with channels, height and width; a line has a height of one."""
    shape = translator.shape(tensor)
    channels, *sizes = shape
    height, width = sizes if len(sizes) == 2 else (1, *sizes)
    return channels, height, width


def _gemm(translator: Translator, node: OnnxNode) -> None:
    if node.attributes.get("transA"):
        translator.refuse(node, "its first operand is transposed")
    weights = _constant(translator, node, 1) * np.float32(node.attributes.get("alpha", 1.0))
    matrix = weights if node.attributes.get("transB") else weights.T
    bias = _bias(translator, node, matrix.shape[0]) * np.float32(node.attributes.get("beta", 1.0))
    _inner_product(translator, node, matrix, bias)


def _matmul(translator: Translator, node: OnnxNode) -> None:
    weights = _constant(translator, node, 1)
    if weights.ndim != 2:
        translator.refuse(node, f"its weights have the shape {weights.shape}")
    _inner_product(translator, node, weights.T, np.zeros(weights.shape[1], np.float32))


def _inner_product(translator: Translator, node: OnnxNode, matrix: Array, bias: Weights) -> None:
    """A product of one row, or of the rows of a blob of two dimensions."""
    channels, size = matrix.shape
    source = node.inputs[0]
    rows = translator.graph.size(source) // size
    blob, present = translator.held(source)
    if rows > 1:
        blob = translator.read(node, source, (rows, size))
    elif len(present) == 2:  # ncnn would take its rows one by one
        blob = translator.read(node, source, (size,))
    parameters: dict[int, Parameter] = {0: channels, 1: 1, 2: matrix.size}
    product = Product(_layer_name(translator, node), channels)
    output = _fuse(translator, node, parameters)
    translator.emit(
        "InnerProduct",
        [blob],
        output,
        parameters,
        weights=(_plain(matrix), bias),
        tagged=True,
        shape=(rows, channels) if rows > 1 else (channels,),
        product=product,
    )


def _fuse(translator: Translator, node: OnnxNode, parameters: dict[int, Parameter]) -> str:
    """Adds the activation behind a product to its parameters; returns what is computed then."""
    if node.output in translator.graph.outputs:
        return node.output
    readers = translator.layered.readers.get(node.output, ())
    only = readers[0] if len(readers) == 1 else None
    if len(readers) == 2:
        gate = gate_of(translator, readers[0])
        if readers[0].op == "HardSigmoid" and gate is not None:
            parameters |= {_ACTIVATION: 6, _ACTIVATION_VALUES: _hard(readers[0])}
            translator.skip(readers[0])
            translator.skip(gate)
            return gate.output
    found = None if only is None else _activation(translator, only)
    if only is None or found is None:
        return node.output
    kind, values = found
    parameters[_ACTIVATION] = kind
    if values:
        parameters[_ACTIVATION_VALUES] = values
    translator.skip(only)
    return only.output


def _activation(translator: Translator, node: OnnxNode) -> tuple[int, tuple[float, ...]] | None:
    """The number that ncnn has for an activation it fuses, with its values."""
    if node.op == "Relu":
        return 1, ()
    if node.op == "LeakyRelu":
        return 2, (float(node.attributes.get("alpha", 0.01)),)
    if node.op == "Clip":
        return 3, clip_limits(translator, node)
    if node.op == "Sigmoid" and gate_of(translator, node) is None:
        return 4, ()
    if node.op == "HardSwish":
        return 6, (1 / 6, 0.5)
    return None


def _hard(node: OnnxNode) -> tuple[float, float]:
    return float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))


def _layer_name(translator: Translator, node: OnnxNode) -> str:
    layer = translator.layer_of(node)
    if layer is None:
        translator.refuse(node, "its weights are computed at run time")
    return layer.name


def _constant(translator: Translator, node: OnnxNode, position: int) -> Array:
    value = translator.graph.constant(node, position)
    if value is None:
        translator.refuse(node, "its weights are computed at run time")
    return value


def _bias(translator: Translator, node: OnnxNode, channels: int) -> Weights:
    if len(node.inputs) < 3 or not node.inputs[2]:
        return np.zeros(channels, np.float32)
    bias = _constant(translator, node, 2)
    if bias.size not in (1, channels) or math.prod(bias.shape[:-1]) != 1:
        translator.refuse(node, f"its addend has the shape {bias.shape}")
    return np.ascontiguousarray(np.broadcast_to(bias.reshape(-1), (channels,)), np.float32)


def _plain(weights: Array) -> Weights:
    return np.ascontiguousarray(weights, np.float32)


PRODUCTS: dict[str, Operator] = {"Conv": _convolution, "Gemm": _gemm, "MatMul": _matmul}
