"""The content of a model file: a network of layers and tensors, as plain frozen values."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray


def dtype_bits(name: str) -> int:
    """Bits that a file spends on an element of a type, by the type's name.

    Args:
        name: as of :class:`Tensor`; the handle of a variable counts as an int32.
    """
    if name == "bool":
        return 8
    found = re.search(r"\d+", name)
    return int(found[0]) if found else 32


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantization, ``real = scale * (quantized - zero_point)``.

    Args:
        scales: one for the tensor, or one per slice along ``axis``.
        zero_points: one per scale.
        axis: the dimension of the slices; meaningful only with several scales.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value that flows between layers, or a constant of the network.

    Args:
        name: unique within the network.
        shape: static, in the file's layout (NHWC for TFLite, NCHW for ONNX).
        dtype: name of the element type: NumPy's, such as ``int8`` or ``float32``, that of
            ml_dtypes, such as ``int4`` or ``bfloat16``, or ``resource`` for the handle of a
            variable.
        quantization: None for tensors that are not quantized.
        data: the value of a constant; None for tensors computed at run time.
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
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Of the values, packed where several of them share a byte."""
        return -(-self.elements * dtype_bits(self.dtype) // 8)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operator of the network.

    Args:
        name: stable, unique and printable; depends on the model file only.
        op: operator name of the file format (``CONV_2D`` in TFLite, ``Conv`` in ONNX).
        inputs: names of tensors, in the operator's order; "" for an optional one that is absent.
        outputs: names of tensors.
        attributes: parameters of the operator, as plain Python values.
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
    """A neural network as a model file describes it.

    Args:
        name: for reports; the file's stem or the zoo's name.
        format: ``tflite``, ``onnx`` or ``tosa``; the layers of a TOSA file are not read.
        layers: in execution order.
        tensors: every tensor that a layer, an input or an output names, by name.
        inputs: names of the network's inputs.
        outputs: names of the network's outputs.
        model_bytes: content of the model file, which compilers are given.
        state: names of the tensors that keep their values from one inference to the next; layers
            read them and write them in place.
        other_graphs: names of further graphs of the file that can be run by themselves; the
            layers are those of the first one.
    """

    name: str
    format: str
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor] = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    model_bytes: bytes = field(repr=False)
    state: tuple[str, ...] = ()
    other_graphs: tuple[str, ...] = ()

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
        """Tells whether any layer computes in floating point; ``DEQUANTIZE`` does not count."""
        produced = (
            self.tensors[name]
            for layer in self.layers
            if layer.op != "DEQUANTIZE"
            for name in layer.outputs
            if name
        )
        return any("float" in tensor.dtype for tensor in produced)


def _restore_network(values: dict[str, Any]) -> Network:
    return Network(**values)


RESERVED_NAME = "network"
"""Stands for the whole network where a layer is named, such as in the names of knobs."""


def printable_names(raw_names: Iterable[str]) -> tuple[str, ...]:
    """Makes short, unique, printable layer names of a file's names, in the same order.

    Converters join the names of fused operators by ``;``; only the first one is kept. Characters
    other than ASCII letters, digits and ``_.-/`` become ``_``. A name that is already in use gets
    ``#2``, ``#3``, ..., and so does :data:`RESERVED_NAME`.
    """
    taken = {RESERVED_NAME}
    counts: dict[str, int] = {}
    result = []
    for raw in raw_names:
        first = raw.split(";")[0].strip() or "layer"
        base = "".join(c if c.isascii() and (c.isalnum() or c in "_.-/") else "_" for c in first)
        name = base
        while name in taken:
            counts[base] = counts.get(base, 1) + 1
            name = f"{base}#{counts[base]}"
        taken.add(name)
        result.append(name)
    return tuple(result)
