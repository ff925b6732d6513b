"""Reads the tensors of TFLite files: shapes, element types, quantization and constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.network.budget import MOST_BYTES
from npu_tune.network.model import Quantization, Tensor, dtype_bits
from npu_tune.network.tflite.damage import DamagedError, Entries
from npu_tune.network.tflite.options import enumeration

RESOURCE = "resource"
"""Type of the handle of a variable, which has no values of its own."""

_NUMPY = frozenset(
    {
        "float32",
        "float16",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
        "complex64",
        "complex128",
    }
)
"""Element types of TFLite that NumPy has, in small letters."""
_ML_DTYPES = frozenset({"int4", "uint4", "int2", "bfloat16", "float8_e4m3fn", "float8_e5m2"})
"""Those that the package ml_dtypes adds to NumPy."""
_MOST_DIMENSIONS = 32
_FIXED_SHAPES = "Convert the network with a fixed, positive shape for every input."


class TensorReader:
    """Reads the tensors of one file.

    Args:
        model: root table of the file.
        model_bytes: content of the file.
        entries: counts what is read.
    """

    def __init__(self, model: Any, model_bytes: bytes, entries: Entries) -> None:
        self._model = model
        self._model_bytes = model_bytes
        self._entries = entries
        self._buffers = model.BuffersLength()
        # Tensors may share a buffer, which is unpacked once.
        self._unpacked: dict[tuple[int, str], NDArray[Any]] = {}

    def read(self, table: Any, name: str) -> Tensor:
        """Reads one tensor.

        Raises:
            ModelError: if its type or shape is none that can be read; names the tensor.
            DamagedError: if its parts contradict one another.
        """
        shape = self._shape(table, name)
        dtype = _dtype_name(table, name)
        if table.Sparsity() is not None:
            raise ModelError(
                f"The constant {name!r} is stored sparse, which is not read.",
                remedy="Convert the network without sparse weights.",
                tensor=name,
            )
        size = -(-math.prod(shape) * dtype_bits(dtype) // 8)
        if size > MOST_BYTES:
            raise ModelError(
                f"The tensor {name!r} of shape {shape} takes {size} bytes; {MOST_BYTES} is the "
                "most that is read.",
                remedy="Give a network for a device with this accelerator.",
                tensor=name,
            )
        number = table.Buffer()
        if not 0 <= number < max(self._buffers, 1):
            raise DamagedError(f"the tensor {name!r} names a buffer that is not there")
        return Tensor(
            name=name,
            shape=shape,
            dtype=dtype,
            quantization=self._quantization(table.Quantization(), name, shape),
            data=None if dtype == RESOURCE else self._data(number, name, shape, dtype),
        )

    def pass_over(self, table: Any, name: str) -> None:
        """Counts the lists of a tensor that nothing in the graph names, and reads no more of it.

        Raises:
            DamagedError: if the lists do not fit the file.
        """
        quantization = table.Quantization()
        length = 0 if quantization is None else quantization.ScaleLength()
        self._entries.count(table.ShapeLength() + length, 0, f"the tensor {name!r}")

    def _shape(self, table: Any, name: str) -> tuple[int, ...]:
        what = f"the shape of the tensor {name!r}"
        shape = self._entries.numbers(table.ShapeLength(), table.ShapeAsNumpy, what)
        # A signature of -1 is an open size, which the converter set to one.
        if any(size < 0 for size in shape) or (0 in shape and _is_open(table, self._entries)):
            raise ModelError(
                f"The shape {shape} of the tensor {name!r} is not known before run time.",
                remedy=_FIXED_SHAPES,
                tensor=name,
            )
        if len(shape) > _MOST_DIMENSIONS:
            raise DamagedError(f"the tensor {name!r} has {len(shape)} dimensions")
        return shape

    def _quantization(self, table: Any, name: str, shape: tuple[int, ...]) -> Quantization | None:
        if table is None or table.ScaleLength() < 1:
            return None
        numbers, what = self._entries.numbers, f"the quantization of the tensor {name!r}"
        scales = numbers(table.ScaleLength(), table.ScaleAsNumpy, what)
        zero_points = numbers(table.ZeroPointLength(), table.ZeroPointAsNumpy, what) or (0,)
        if len(zero_points) == 1:
            zero_points *= len(scales)
        # Some converters give a bias the axis of its weights, although a vector has only axis 0.
        axis = int(table.QuantizedDimension()) if len(shape) > 1 else 0
        if len(zero_points) != len(scales):
            raise DamagedError(f"the tensor {name!r} has more scales than zero points, or fewer")
        if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
            raise DamagedError(
                f"the tensor {name!r} has {len(scales)} scales for the shape {shape}"
            )
        if not all(map(math.isfinite, scales)):
            raise DamagedError(f"the tensor {name!r} has a scale that is not a number")
        return Quantization(scales=scales, zero_points=zero_points, axis=axis)

    def _data(
        self, number: int, name: str, shape: tuple[int, ...], dtype: str
    ) -> NDArray[Any] | None:
        buffer = self._model.Buffers(number) if self._buffers else None
        if buffer is None:
            return None
        if buffer.DataLength() > 0:
            raw: NDArray[Any] = buffer.DataAsNumpy()
        elif buffer.Offset() > 1:  # files of more than 2 GB have constants behind the FlatBuffer
            raw = np.frombuffer(self._model_bytes, np.uint8, buffer.Size(), buffer.Offset())
        else:
            return None
        elements, bits = math.prod(shape), dtype_bits(dtype)
        expected = -(-elements * bits // 8)
        if raw.size != expected:
            raise DamagedError(f"the constant {name!r} has {raw.size} bytes instead of {expected}")
        # Nothing is copied here, but whoever computes with a constant makes one of his own.
        self._entries.budget.take(raw.size, f"the constant {name!r}")
        if bits >= 8:
            return raw.view(_numpy_dtype(dtype)).reshape(shape)
        if (number, dtype) not in self._unpacked:
            self._entries.budget.take(3 * raw.size * 8 // bits, f"the constant {name!r}")
            self._unpacked[number, dtype] = _unpack(raw, bits, dtype)
        return self._unpacked[number, dtype][:elements].reshape(shape)


def _is_open(table: Any, entries: Entries) -> bool:
    length, get = table.ShapeSignatureLength(), table.ShapeSignatureAsNumpy
    return -1 in entries.numbers(length, get, "a signature of a shape")


def _dtype_name(table: Any, name: str) -> str:
    type_name = enumeration("TensorType").get(table.Type(), str(table.Type()))
    dtype = type_name.lower()
    if dtype in _NUMPY or dtype in _ML_DTYPES or dtype == RESOURCE:
        return dtype
    raise ModelError(
        f"The tensor {name!r} has the element type {type_name}, which is not supported.",
        remedy="Convert the network to 8 or 16 bit integers or to float32.",
        tensor=name,
    )


def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name in _NUMPY:
        return np.dtype(name)
    import ml_dtypes  # noqa: PLC0415 - seldom needed

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


def _unpack(raw: NDArray[np.uint8], bits: int, dtype: str) -> NDArray[Any]:
    """Elements of less than a byte, one by one; the first one stands in the lowest bits."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = ((raw[:, None] >> shifts) & ((1 << bits) - 1)).astype(np.int8).reshape(-1)
    if not dtype.startswith("u"):
        codes -= (codes >> (bits - 1)) << bits
    values = codes.astype(_numpy_dtype(dtype))
    values.flags.writeable = False
    return values
