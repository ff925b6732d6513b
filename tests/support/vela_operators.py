"""A small int8 TFLite network for each operator that Vela's Python core runs on the NPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from npu_tune.network import Network, network_from_bytes

_TYPES = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
_MAP = (1, 8, 8, 8)
CONVOLUTION = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


class SmallTflite:
    """Builds a TFLite file of one subgraph, tensor by tensor."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, "small"
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = "main", [], []
        self._model.subgraphs = [self._graph]
        self._index: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scale: float | Sequence[float] | None = 0.05,
        data: Any = None,
    ) -> str:
        """Adds a tensor; a constant where there is ``data``."""
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), _TYPES[dtype], 0
        if data is not None:
            buffer = schema.BufferT()
            content = np.ascontiguousarray(np.asarray(data, dtype).reshape(shape)).tobytes()
            buffer.data = np.frombuffer(content, np.uint8)
            made.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            made.quantization.zeroPoint = np.zeros_like(made.quantization.scale, np.int64)
        self._index[name] = len(self._graph.tensors)
        self._graph.tensors.append(made)
        return name

    def numbers(self, name: str, values: Any, shape: Sequence[int]) -> str:
        """Adds an int32 constant without quantisation."""
        return self.tensor(name, shape, "int32", scale=None, data=values)

    def operator(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        options: str = "",
        **values: Any,
    ) -> None:
        """Adds an operator with its options."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes)
        self._model.operatorCodes.append(code)
        made.inputs, made.outputs = ([self._index[n] for n in x] for x in (inputs, outputs))
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in values.items():
                setattr(made.builtinOptions, name, value)
        self._graph.operators.append(made)

    def convolution(self, ifm: str, name: str, shape: Sequence[int], depth: int) -> str:
        """Adds a 3x3 convolution of a map of some depth, with its OFM."""
        random = np.random.default_rng(0)
        channels = shape[-1]
        size = (channels, 3, 3, depth)
        self.tensor(f"{name}/w", size, data=random.integers(-99, 99, size), scale=0.01)
        bias = random.integers(-99, 99, channels)
        self.tensor(f"{name}/b", (channels,), "int32", scale=0.0005, data=bias)
        self.tensor(name, shape)
        inputs = [ifm, f"{name}/w", f"{name}/b"]
        self.operator("CONV_2D", inputs, [name], "Conv2DOptions", **CONVOLUTION)
        return name

    def network(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Network:
        """The file, read."""
        self._graph.inputs, self._graph.outputs = (
            [self._index[n] for n in x] for x in (inputs, outputs)
        )
        builder = flatbuffers.Builder(1 << 14)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return network_from_bytes(bytes(builder.Output()), "tflite", name)


def one_operator(name: str) -> Network:
    """The network of :data:`NETWORKS` of that name."""
    return NETWORKS[name](name)


def _unary(kind: str, options: str = "", shape: Sequence[int] = _MAP, **values: Any) -> Any:
    def make(name: str) -> Network:
        file = SmallTflite()
        file.tensor("in", shape)
        scale = {"SOFTMAX": 1 / 256, "LOGISTIC": 1 / 256, "TANH": 1 / 128}.get(kind, 0.05)
        file.tensor("out", shape, scale=scale)
        file.operator(kind, ["in"], ["out"], options, **values)
        return file.network(name, ["in"], ["out"])

    return make


def _binary(kind: str, options: str = "", *, scalar: bool = False) -> Any:
    def make(name: str) -> Network:
        file = SmallTflite()
        inputs = [file.tensor("a", _MAP)]
        if scalar:
            file.tensor("b", (1,), data=[3])
        else:
            inputs.append(file.tensor("b", _MAP))
        file.tensor("out", _MAP)
        file.operator(kind, ["a", "b"], ["out"], options)
        return file.network(name, inputs, ["out"])

    return make


def _with_numbers(
    kind: str,
    numbers: Mapping[str, tuple[Any, Sequence[int]]],
    *outputs: Sequence[int],
    options: str = "",
    order: Sequence[str] = (),
    shape: Sequence[int] = _MAP,
    **values: Any,
) -> Callable[[str], Network]:
    """An operator with int32 constants beside its feature map, such as axes and paddings."""

    def make(name: str) -> Network:
        file = SmallTflite()
        file.tensor("in", shape)
        for constant, (content, size) in numbers.items():
            file.numbers(constant, content, size)
        outs = [file.tensor(f"out{i}", size) for i, size in enumerate(outputs)]
        file.operator(kind, order or ["in", *numbers], outs, options, **values)
        return file.network(name, ["in"], outs)

    return make


def _convolution(
    kind: str,
    weights: Sequence[int],
    out: Sequence[int],
    options: str,
    *,
    shape: Sequence[int] = _MAP,
    bias: bool = True,
    leading: tuple[int, ...] = (),
    **values: Any,
) -> Callable[[str], Network]:
    def make(name: str) -> Network:
        file = SmallTflite()
        random = np.random.default_rng(0)
        file.tensor("in", shape)
        file.tensor("w", weights, data=random.integers(-100, 100, weights), scale=0.01)
        inputs = ["in", "w"]
        if leading:
            inputs = [file.numbers("shape", leading, (len(leading),)), "w", "in"]
        if bias:
            channels = out[-1]
            biases = random.integers(-100, 100, channels)
            inputs.append(file.tensor("b", (channels,), "int32", scale=0.0005, data=biases))
        file.tensor("out", out)
        file.operator(kind, inputs, ["out"], options, **values)
        return file.network(name, ["in"], ["out"])

    return make


def _axis(kind: str, *outputs: Sequence[int], size: Sequence[int], **rest: Any) -> Any:
    return _with_numbers(kind, {"axis": (3, size)}, *outputs, **rest)


def _split_v(size: Sequence[int]) -> Any:
    numbers = {"sizes": ((2, -1), (2,)), "axis": (3, size)}
    outputs = (1, 8, 8, 2), (1, 8, 8, 6)
    return _with_numbers("SPLIT_V", numbers, *outputs, options="SplitVOptions", numSplits=2)


def _arg_max(size: Sequence[int]) -> Callable[[str], Network]:
    def make(name: str) -> Network:
        file = SmallTflite()
        file.tensor("in", _MAP)
        file.numbers("axis", 3, size)
        file.tensor("out", (1, 8, 8), "int32", scale=None)
        kind = schema.TensorType.INT32
        file.operator("ARG_MAX", ["in", "axis"], ["out"], "ArgMaxOptions", outputType=kind)
        return file.network(name, ["in"], ["out"])

    return make


def _concatenation(name: str) -> Network:
    file = SmallTflite()
    inputs = [file.tensor(n, _MAP) for n in "ab"]
    file.tensor("out", (1, 8, 8, 16))
    file.operator("CONCATENATION", inputs, ["out"], "ConcatenationOptions", axis=3)
    return file.network(name, inputs, ["out"])


def _pack(name: str) -> Network:
    file = SmallTflite()
    inputs = [file.tensor(n, (8, 8)) for n in "ab"]
    file.tensor("out", (2, 8, 8))
    file.operator("PACK", inputs, ["out"], "PackOptions", axis=0, valuesCount=2)
    return file.network(name, inputs, ["out"])


def _prelu(name: str) -> Network:
    file = SmallTflite()
    file.tensor("in", _MAP)
    file.tensor("alpha", (1, 1, 8), data=[-3, -2, -1, 0, 1, 2, 3, 4])
    file.tensor("out", _MAP)
    file.operator("PRELU", ["in", "alpha"], ["out"])
    return file.network(name, ["in"], ["out"])


_POOL = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
_HALF = (1, 4, 4, 8)
_SLICE = {"begin": ((0, 1, 1, 0), (4,)), "end": ((1, 7, 7, 8), (4,))}

NETWORKS: Mapping[str, Callable[[str], Network]] = {
    "ABS": _unary("ABS", "AbsOptions"),
    "ADD": _binary("ADD", "AddOptions"),
    "ADD of one number": _binary("ADD", "AddOptions", scalar=True),
    "ARG_MAX": _arg_max(()),
    "ARG_MAX, axis of shape [1]": _arg_max((1,)),
    "AVERAGE_POOL_2D": _with_numbers(
        "AVERAGE_POOL_2D", {}, _HALF, options="Pool2DOptions", **_POOL
    ),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution("CONV_2D", (16, 3, 3, 8), (1, 8, 8, 16), "Conv2DOptions", **CONVOLUTION),
    "CONV_2D of one weight": _convolution(
        "CONV_2D", (1, 1, 1, 1), (1, 8, 8, 1), "Conv2DOptions", shape=(1, 8, 8, 1), **CONVOLUTION
    ),
    "CONV_2D without bias": _convolution(
        "CONV_2D", (16, 3, 3, 8), (1, 8, 8, 16), "Conv2DOptions", bias=False, **CONVOLUTION
    ),
    "CONV_2D in two groups": _convolution(
        "CONV_2D", (16, 3, 3, 4), (1, 8, 8, 16), "Conv2DOptions", **CONVOLUTION
    ),
    "CONV_2D in a group per channel": _convolution(
        "CONV_2D", (8, 3, 3, 1), _MAP, "Conv2DOptions", **CONVOLUTION
    ),
    "DEPTHWISE_CONV_2D": _convolution(
        "DEPTHWISE_CONV_2D", (1, 3, 3, 8), _MAP, "DepthwiseConv2DOptions",
        depthMultiplier=1, **CONVOLUTION,
    ),
    "EXP": _unary("EXP", "ExpOptions"),
    "EXPAND_DIMS": _with_numbers(
        "EXPAND_DIMS", {"axis": (1, (1,))}, (1, 1, 8, 8), options="ExpandDimsOptions",
        shape=(1, 8, 8),
    ),
    "EXPAND_DIMS, axis of rank 0": _with_numbers(
        "EXPAND_DIMS", {"axis": (0, ())}, (1, 8, 8), options="ExpandDimsOptions", shape=(8, 8)
    ),
    "FULLY_CONNECTED": _convolution(
        "FULLY_CONNECTED", (16, 64), (1, 16), "FullyConnectedOptions", shape=(1, 64)
    ),
    "FULLY_CONNECTED to one": _convolution(
        "FULLY_CONNECTED", (1, 64), (1, 1), "FullyConnectedOptions", shape=(1, 64)
    ),
    "HARD_SWISH": _unary("HARD_SWISH", "HardSwishOptions"),
    "LEAKY_RELU": _unary("LEAKY_RELU", "LeakyReluOptions", alpha=0.1),
    "LOGISTIC": _unary("LOGISTIC"),
    "MAX_POOL_2D": _with_numbers("MAX_POOL_2D", {}, _HALF, options="Pool2DOptions", **_POOL),
    "MAXIMUM": _binary("MAXIMUM", "MaximumMinimumOptions"),
    "MEAN": _with_numbers(
        "MEAN", {"axes": ((1, 2), (2,))}, (1, 1, 1, 8), options="ReducerOptions", keepDims=True
    ),
    "MEAN of one axis": _with_numbers(
        "MEAN", {"axes": (1, (1,))}, (1, 1, 8, 8), options="ReducerOptions", keepDims=True
    ),
    "MEAN, axis of rank 0": _with_numbers(
        "MEAN", {"axes": (1, ())}, (1, 1, 8, 8), options="ReducerOptions", keepDims=True
    ),
    "MINIMUM": _binary("MINIMUM", "MaximumMinimumOptions"),
    "MIRROR_PAD": _with_numbers(
        "MIRROR_PAD", {"padding": ((0, 0, 1, 1, 1, 1, 0, 0), (4, 2))}, (1, 10, 10, 8),
        options="MirrorPadOptions", mode=0,
    ),
    "MUL": _binary("MUL", "MulOptions"),
    "MUL by one number": _binary("MUL", "MulOptions", scalar=True),
    "PACK": _pack,
    "PAD": _with_numbers(
        "PAD", {"padding": ((0, 0, 1, 1, 1, 1, 0, 0), (4, 2))}, (1, 10, 10, 8),
        options="PadOptions",
    ),
    "PRELU": _prelu,
    "QUANTIZE": _unary("QUANTIZE", "QuantizeOptions"),
    "RELU": _unary("RELU"),
    "RELU_0_TO_1": _unary("RELU_0_TO_1"),
    "RELU6": _unary("RELU6"),
    "RELU_N1_TO_1": _unary("RELU_N1_TO_1"),
    "RESHAPE": _with_numbers(
        "RESHAPE", {"shape": ((1, 64, 8), (3,))}, (1, 64, 8), options="ReshapeOptions",
        newShape=[1, 64, 8],
    ),
    "RESHAPE to one dimension": _with_numbers(
        "RESHAPE", {"shape": (512, (1,))}, (512,), options="ReshapeOptions", newShape=[512]
    ),
    "RESIZE_BILINEAR": _with_numbers(
        "RESIZE_BILINEAR", {"size": ((16, 16), (2,))}, (1, 16, 16, 8),
        options="ResizeBilinearOptions", alignCorners=False, halfPixelCenters=False,
    ),
    "RESIZE_NEAREST_NEIGHBOR": _with_numbers(
        "RESIZE_NEAREST_NEIGHBOR", {"size": ((16, 16), (2,))}, (1, 16, 16, 8),
        options="ResizeNearestNeighborOptions", alignCorners=False, halfPixelCenters=False,
    ),
    "RSQRT": _unary("RSQRT"),
    "SLICE": _with_numbers(
        "SLICE", {"begin": ((0, 1, 1, 0), (4,)), "size": ((1, 6, 6, 8), (4,))}, (1, 6, 6, 8),
        options="SliceOptions",
    ),
    "SOFTMAX": _unary("SOFTMAX", "SoftmaxOptions", beta=1.0),
    "SPLIT": _axis(
        "SPLIT", (1, 8, 8, 4), (1, 8, 8, 4), size=(), options="SplitOptions",
        order=("axis", "in"), numSplits=2,
    ),
    "SPLIT, axis of shape [1]": _axis(
        "SPLIT", (1, 8, 8, 4), (1, 8, 8, 4), size=(1,), options="SplitOptions",
        order=("axis", "in"), numSplits=2,
    ),
    "SPLIT_V": _split_v(()),
    "SPLIT_V, axis of shape [1]": _split_v((1,)),
    "SQUARED_DIFFERENCE": _binary("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"),
    "SQUEEZE": _with_numbers(
        "SQUEEZE", {}, (8, 8, 8), options="SqueezeOptions", squeezeDims=[0]
    ),
    "STRIDED_SLICE": _with_numbers(
        "STRIDED_SLICE", {**_SLICE, "strides": ((1, 1, 1, 1), (4,))}, (1, 6, 6, 8),
        options="StridedSliceOptions",
    ),
    "SUB": _binary("SUB", "SubOptions"),
    "TANH": _unary("TANH"),
    "TRANSPOSE": _with_numbers(
        "TRANSPOSE", {"order": ((0, 2, 1, 3), (4,))}, _MAP, options="TransposeOptions"
    ),
    "TRANSPOSE_CONV": _convolution(
        "TRANSPOSE_CONV", (8, 2, 2, 8), (1, 16, 16, 8), "TransposeConvOptions",
        leading=(1, 16, 16, 8), bias=False, strideH=2, strideW=2,
    ),
    "UNPACK": _with_numbers(
        "UNPACK", {}, (8, 8), (8, 8), options="UnpackOptions", shape=(2, 8, 8), num=2, axis=0
    ),
}  # fmt: skip
"""By name: what Vela's ``TFLiteSupportedOperators`` of 5.2.0 lists and TFLite has, but for SHAPE,
which Vela computes while it compiles, and UNIDIRECTIONAL_SEQUENCE_LSTM, which has two dozen inputs.
Constants of one element stand in both forms that files have, of rank 0 and of shape [1]."""
