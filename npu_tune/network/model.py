"""What a model file says: a network of layers and tensors, as plain frozen values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantization, ``real = scale * (quantized - zero_point)``.

    Args:
        scales: one scale for the tensor, or one per slice along ``axis``.
        zero_points: as many as scales.
        axis: the sliced dimension where there are several scales.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value that flows between layers, or a constant of the network.

    Args:
        name: unique within the network.
        shape: in the file's own layout (NHWC for TFLite, NCHW for ONNX); static.
        dtype: NumPy's name of the element type, such as ``int8`` or ``float32``.
        quantization: None for real-valued tensors.
        data: the value of a constant; None for what is computed at run time.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: NDArray[Any] | None = field(default=None, repr=False)

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size_bytes(self) -> int:
        return self.elements * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operator of the network.

    Args:
        name: stable, unique and printable; made from the model file alone.
        op: the file format's own operator name (``CONV_2D`` in TFLite, ``Conv`` in ONNX).
        inputs: names of tensors, in the operator's order; "" where an optional one is absent.
        outputs: names of tensors.
        attributes: the operator's parameters as plain Python values.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled.
        return Layer, (self.name, self.op, self.inputs, self.outputs, dict(self.attributes))


@dataclass(frozen=True, eq=False)
class Network:
    """A neural network as a file states it, in execution order.

    Args:
        name: for people; the file's stem or the zoo's name.
        format: ``tflite``, ``onnx`` or ``tosa``; of a TOSA file no layers are read.
        layers: in an order in which they can be executed.
        tensors: every tensor a layer, an input or an output names.
        inputs: names of the network's inputs.
        outputs: names of the network's outputs.
        model_bytes: the file itself; what a compiler is given.
    """

    name: str
    format: str
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor] = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    model_bytes: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _restore_network, (values | {"tensors": dict(self.tensors)},)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file, in hexadecimal: the identity of the network."""
        return hashlib.sha256(self.model_bytes).hexdigest()

    @cached_property
    def is_float(self) -> bool:
        """True where any layer computes in floating point.

        A ``DEQUANTIZE`` layer, which only hands integers out as real numbers, does not count.
        """
        produced = (
            self.tensors[name]
            for layer in self.layers
            if layer.op != "DEQUANTIZE"
            for name in layer.outputs
            if name
        )
        return any(tensor.dtype.startswith("float") for tensor in produced)


def _restore_network(values: dict[str, Any]) -> Network:
    return Network(**values)


def printable_names(raw_names: Iterable[str]) -> tuple[str, ...]:
    """Turns a file's own names into short, unique, printable layer names, in order.

    Converters join the names of fused operators with ``;`` and repeat scopes; only the first
    part is kept, anything but letters, digits and ``_.-/`` becomes ``_``, and a name that is
    already taken gets ``#2``, ``#3``, ...
    """
    taken: set[str] = set()
    result = []
    for raw in raw_names:
        first = raw.split(";")[0].strip() or "layer"
        base = "".join(c if c.isascii() and (c.isalnum() or c in "_.-/") else "_" for c in first)
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}#{count}"
        taken.add(name)
        result.append(name)
    return tuple(result)
