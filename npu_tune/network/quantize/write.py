"""Writes TFLite files (FlatBuffers, schema 3)."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

from npu_tune.network.onnx.graph import Array
from npu_tune.network.quantize.arithmetic import Parameters
from npu_tune.network.quantize.tflite_graph import TfliteOp

# Per operator, its table of options and the lowest version that supports the int8 form (from
# TFLite's public table of operator versions).
_OPERATORS: dict[str, tuple[str, int]] = {
    "ADD": ("AddOptions", 2),
    "AVERAGE_POOL_2D": ("Pool2DOptions", 2),
    "CONCATENATION": ("ConcatenationOptions", 2),
    "CONV_2D": ("Conv2DOptions", 3),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 3),
    "ELU": ("", 1),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 4),
    "GATHER": ("GatherOptions", 2),
    "HARD_SWISH": ("HardSwishOptions", 1),
    "LEAKY_RELU": ("LeakyReluOptions", 2),
    "LOGISTIC": ("", 2),
    "MAXIMUM": ("MaximumMinimumOptions", 2),
    "MAX_POOL_2D": ("Pool2DOptions", 2),
    "MEAN": ("ReducerOptions", 2),
    "MIRROR_PAD": ("MirrorPadOptions", 2),
    "MINIMUM": ("MaximumMinimumOptions", 2),
    "MUL": ("MulOptions", 2),
    "PAD": ("PadOptions", 2),
    "PADV2": ("PadV2Options", 2),
    "PRELU": ("", 1),
    "QUANTIZE": ("QuantizeOptions", 2),
    "REDUCE_MAX": ("ReducerOptions", 2),
    "REDUCE_MIN": ("ReducerOptions", 2),
    "RELU": ("", 2),
    "RELU6": ("", 2),
    "RESHAPE": ("ReshapeOptions", 1),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", 2),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", 2),
    "SOFTMAX": ("SoftmaxOptions", 2),
    "SPLIT": ("SplitOptions", 2),
    "SPLIT_V": ("SplitVOptions", 2),
    "STRIDED_SLICE": ("StridedSliceOptions", 2),
    "SUB": ("SubOptions", 2),
    "SUM": ("ReducerOptions", 2),
    "TANH": ("", 2),
    "TRANSPOSE": ("TransposeOptions", 2),
    "TRANSPOSE_CONV": ("TransposeConvOptions", 3),
}
_HALF_PIXEL_VERSION = 3
"""The version of the resize operators that supports half-pixel centres."""
_BUFFER_ALIGNMENT = 16
_ELEMENT_TYPES = {"int8": 9, "int32": 2}
"""The schema's codes of the element types."""


@dataclass(frozen=True)
class WrittenTensor:
    """A quantized tensor as it is written to the file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parameters: Parameters | None = None
    data: Array | None = field(default=None, repr=False)


def write_tflite(
    tensors: list[WrittenTensor], ops: list[TfliteOp], inputs: list[str], outputs: list[str]
) -> bytes:
    """Serializes a TFLite file; the same arguments give the same bytes."""
    builder = flatbuffers.Builder(1 << 16)
    return _Writer(builder, tensors).file(ops, inputs, outputs)


@functools.cache
def _schema(name: str) -> Any:
    return importlib.import_module(f"tflite.{name}")


class _Writer:
    """Serializes one file; FlatBuffers need children before their parents."""

    def __init__(self, builder: Any, tensors: list[WrittenTensor]) -> None:
        self._builder = builder
        self._tensors = tensors
        self._index = {tensor.name: index for index, tensor in enumerate(tensors)}

    def file(self, ops: list[TfliteOp], inputs: list[str], outputs: list[str]) -> bytes:
        keys = sorted({(op.op, _version(op)) for op in ops})
        buffers = [self._buffer(None)]
        tensors = []
        for tensor in self._tensors:
            number = 0
            if tensor.data is not None:
                number = len(buffers)
                buffers.append(self._buffer(tensor.data))
            tensors.append(self._tensor(tensor, number))
        operators = [self._operator(op, keys.index((op.op, _version(op)))) for op in ops]
        graph = self._table(
            "SubGraph",
            Tensors=self._tables(tensors),
            Inputs=self._indices(inputs),
            Outputs=self._indices(outputs),
            Operators=self._tables(operators),
            Name=self._builder.CreateString("main"),
        )
        codes = [self._code(name, version) for name, version in keys]
        model = self._table(
            "Model",
            Version=3,
            OperatorCodes=self._tables(codes),
            Subgraphs=self._tables([graph]),
            Description=self._builder.CreateString("npu-tune"),
            Buffers=self._tables(buffers),
        )
        self._builder.Finish(model, b"TFL3")
        return bytes(self._builder.Output())

    def _table(self, kind: str, **fields: Any) -> int:
        module = _schema(kind)
        getattr(module, f"{kind}Start")(self._builder)
        for name, value in fields.items():
            getattr(module, f"{kind}Add{name}")(self._builder, value)
        offset: int = getattr(module, f"{kind}End")(self._builder)
        return offset

    def _tables(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        vector: int = self._builder.EndVector()
        return vector

    def _numbers(self, values: Any, dtype: str) -> int:
        vector: int = self._builder.CreateNumpyVector(np.asarray(values, dtype))
        return vector

    def _indices(self, names: list[str]) -> int:
        return self._numbers([self._index[name] if name else -1 for name in names], "int32")

    def _buffer(self, data: Array | None) -> int:
        if data is None:
            return self._table("Buffer")
        raw = np.ascontiguousarray(data).tobytes()
        builder = self._builder
        builder.StartVector(1, len(raw), _BUFFER_ALIGNMENT)
        builder.head = int(builder.Head()) - len(raw)
        builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
        return self._table("Buffer", Data=builder.EndVector())

    def _tensor(self, tensor: WrittenTensor, buffer: int) -> int:
        fields: dict[str, Any] = {
            "Shape": self._numbers(tensor.shape, "int32"),
            "Type": _ELEMENT_TYPES[tensor.dtype],
            "Buffer": buffer,
            "Name": self._builder.CreateString(tensor.name),
            "HasRank": True,
        }
        parameters = tensor.parameters
        if parameters is not None:
            count = len(parameters.scales)
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._numbers(parameters.scales, "float32"),
                ZeroPoint=self._numbers([parameters.zero_point] * count, "int64"),
                QuantizedDimension=parameters.axis if count > 1 else 0,
            )
        return self._table("Tensor", **fields)

    def _operator(self, op: TfliteOp, code: int) -> int:
        fields: dict[str, Any] = {
            "OpcodeIndex": code,
            "Inputs": self._indices(op.inputs),
            "Outputs": self._indices(op.outputs),
        }
        options = _OPERATORS[op.op][0]
        if options:
            values = {
                name: self._numbers(value, "int32") if isinstance(value, tuple) else value
                for name, value in op.options.items()
            }
            fields["BuiltinOptionsType"] = getattr(
                _schema("BuiltinOptions").BuiltinOptions, options
            )
            fields["BuiltinOptions"] = self._table(options, **values)
        return self._table("Operator", **fields)

    def _code(self, name: str, version: int) -> int:
        code = getattr(_schema("BuiltinOperator").BuiltinOperator, name)
        # Old readers only know the deprecated field, which is a byte.
        return self._table(
            "OperatorCode", DeprecatedBuiltinCode=min(code, 127), BuiltinCode=code, Version=version
        )


def _version(op: TfliteOp) -> int:
    if op.op.startswith("RESIZE") and op.options.get("HalfPixelCenters"):
        return _HALF_PIXEL_VERSION
    return _OPERATORS[op.op][1]
