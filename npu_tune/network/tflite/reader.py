"""Reads TFLite files (FlatBuffers, schema 3) into networks."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.network.model import Layer, Network, Quantization, Tensor, printable_names
from npu_tune.network.tflite.options import enumeration, operator_attributes, operator_name

IDENTIFIER = b"TFL3"
"""The four bytes at offset 4 of every TFLite file."""

# NumPy's names of the TFLite element types that NumPy has.
_DTYPES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "BOOL": "bool",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}

# Raised by the FlatBuffers runtime if offsets are out of the file or point to other content.
_DAMAGE = (
    struct.error,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)

_Item = TypeVar("_Item")


class _Damaged(Exception):  # noqa: N818 - an internal signal, turned into a ModelError
    """The content of the file is inconsistent."""


class _Budget:
    """Limits the total length of lists, so that a damaged file cannot occupy the reader forever.

    FlatBuffers may share lists between tables, so a valid file may have more entries than bytes;
    sixteen times as many is more than any converter writes.
    """

    def __init__(self, file_bytes: int) -> None:
        self._left = 16 * file_bytes

    def items(self, length: int, get: Callable[[int], _Item]) -> list[_Item]:
        self._left -= length
        if length < 0 or self._left < 0:
            raise _Damaged(f"a list of {length} entries does not fit the file")
        return [get(index) for index in range(length)]


def read_tflite(model_bytes: bytes, *, name: str) -> Network:
    """Reads a TFLite file.

    Args:
        model_bytes: content of the file.
        name: of the network.

    Raises:
        ModelError: if the file is damaged, has no operators, or has shapes that are unknown
            before run time.
    """
    import tflite  # noqa: PLC0415 - heavy, and needed here only

    if len(model_bytes) < 8 or model_bytes[4:8] != IDENTIFIER:
        raise ModelError(
            f"{name!r} is not a TFLite file.", remedy="Give a .tflite file that LiteRT can open."
        )
    try:
        return _read(tflite.Model.GetRootAs(model_bytes, 0), model_bytes, name)
    except ModelError:
        raise
    except (_Damaged, *_DAMAGE) as error:
        raise ModelError(
            f"The TFLite file of {name!r} is damaged ({error}).",
            remedy="Copy or convert it again.",
        ) from error


def _read(model: Any, model_bytes: bytes, name: str) -> Network:
    budget = _Budget(len(model_bytes))
    if model.SubgraphsLength() < 1:
        raise _Damaged("it has no graph")
    graph = model.Subgraphs(0)
    raw_tensors = budget.items(graph.TensorsLength(), graph.Tensors)
    names = _unique_names(
        [(tensor.Name() or b"").decode("utf-8", "replace") for tensor in raw_tensors]
    )
    buffer_count = model.BuffersLength()
    tensors = {}
    for tensor, tensor_name in zip(raw_tensors, names, strict=True):
        if not 0 <= tensor.Buffer() < max(buffer_count, 1):
            raise _Damaged(f"the tensor {tensor_name!r} names a buffer that is not there")
        buffer = model.Buffers(tensor.Buffer()) if buffer_count else None
        tensors[tensor_name] = _tensor(tensor, tensor_name, buffer, model_bytes)

    def tensor_names(indices: NDArray[Any] | int) -> tuple[str, ...]:
        listed = [] if isinstance(indices, int) else indices.tolist()
        if any(index >= len(names) or index < -1 for index in listed):
            raise _Damaged("an operator names a tensor that is not there")
        return tuple(names[index] if index >= 0 else "" for index in listed)

    codes = budget.items(model.OperatorCodesLength(), model.OperatorCodes)
    operators = budget.items(graph.OperatorsLength(), graph.Operators)
    if not operators:
        raise ModelError(f"The network {name!r} has no operators.", remedy="Give a whole network.")
    outputs = [tensor_names(operator.OutputsAsNumpy()) for operator in operators]
    ops = [operator_name(codes[operator.OpcodeIndex()]) for operator in operators]
    layer_names = printable_names(
        produced[0] if produced and produced[0] else op
        for produced, op in zip(outputs, ops, strict=True)
    )
    layers = tuple(
        Layer(
            name=layer_name,
            op=op,
            inputs=tensor_names(operator.InputsAsNumpy()),
            outputs=produced,
            attributes=operator_attributes(operator),
        )
        for operator, op, produced, layer_name in zip(
            operators, ops, outputs, layer_names, strict=True
        )
    )
    return Network(
        name=name,
        format="tflite",
        layers=layers,
        tensors=MappingProxyType(tensors),
        inputs=tensor_names(graph.InputsAsNumpy()),
        outputs=tensor_names(graph.OutputsAsNumpy()),
        model_bytes=model_bytes,
    )


def _unique_names(raw: list[str]) -> list[str]:
    """Appends the index to tensor names that are empty or repeated."""
    taken: set[str] = set()
    result = []
    for index, raw_name in enumerate(raw):
        name = raw_name if raw_name and raw_name not in taken else f"{raw_name}#{index}"
        taken.add(name)
        result.append(name)
    return result


def _tensor(tensor: Any, name: str, buffer: Any, model_bytes: bytes) -> Tensor:
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    signature = tensor.ShapeSignatureAsNumpy().tolist() if tensor.ShapeSignatureLength() else []
    # A signature that starts with -1 has an open batch size, which the converter set to one.
    if any(size < 1 for size in shape) and math.prod(shape) < 1:
        if 0 in shape and -1 not in signature:
            raise ModelError(
                f"The tensor {name!r} has no elements: its shape is {shape}.",
                remedy="Convert the network with a fixed, positive shape for every input.",
            )
        raise ModelError(
            f"The shape {shape} of the tensor {name!r} is not known before run time.",
            remedy="Convert the network with a fixed shape for every input.",
        )
    type_name = enumeration("TensorType").get(tensor.Type())
    dtype = _DTYPES.get(type_name or "")
    if dtype is None:
        raise ModelError(
            f"The tensor {name!r} has the element type {type_name or tensor.Type()}, which is not supported.",
            remedy="Convert the network to 8 or 16 bit integers or to float32.",
        )
    return Tensor(
        name=name,
        shape=shape,
        dtype=dtype,
        quantization=_quantization(tensor.Quantization(), name, shape),
        data=_data(buffer, name, shape, np.dtype(dtype), model_bytes),
    )


def _quantization(table: Any, name: str, shape: tuple[int, ...]) -> Quantization | None:
    if table is None or table.ScaleLength() < 1:
        return None
    scales = tuple(float(scale) for scale in table.ScaleAsNumpy())
    zero_points = (
        tuple(int(point) for point in table.ZeroPointAsNumpy())
        if table.ZeroPointLength()
        else (0,)
    )
    if len(zero_points) == 1:
        zero_points *= len(scales)
    # Some converters give a bias the axis of its weights, although a vector has only axis 0.
    axis = int(table.QuantizedDimension()) if len(shape) > 1 else 0
    if len(zero_points) != len(scales):
        raise _Damaged(f"the tensor {name!r} has more scales than zero points, or fewer")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise _Damaged(f"the tensor {name!r} has {len(scales)} scales for the shape {shape}")
    if not all(math.isfinite(scale) for scale in scales):
        raise _Damaged(f"the tensor {name!r} has a scale that is not a number")
    return Quantization(scales=scales, zero_points=zero_points, axis=axis)


def _data(
    buffer: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], model_bytes: bytes
) -> NDArray[Any] | None:
    if buffer is None:
        return None
    raw: NDArray[Any]
    if buffer.DataLength() > 0:
        raw = buffer.DataAsNumpy()
    elif buffer.Offset() > 1:  # files of more than 2 GB have constants behind the FlatBuffer
        raw = np.frombuffer(model_bytes, np.uint8, buffer.Size(), buffer.Offset())
    else:
        return None
    expected = math.prod(shape) * dtype.itemsize
    if raw.size != expected:
        raise _Damaged(f"the constant {name!r} has {raw.size} bytes instead of {expected}")
    data = np.frombuffer(raw.tobytes(), dtype).reshape(shape)
    data.flags.writeable = False
    return data
