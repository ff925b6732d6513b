"""Element types of ONNX, and the values of constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.graph import Array

if TYPE_CHECKING:
    import onnx

_NUMBERS_REMEDY = "Export the network with tensors of real numbers, integers or booleans only."
_KINDS = {
    "sequence_type": "a sequence of tensors",
    "optional_type": "optional",
    "map_type": "a map",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "opaque",
}
"""What a value may be other than a tensor, by protobuf's name."""


def require_tensor(value: onnx.ValueInfoProto, *, name: str) -> None:
    """Raises ModelError if a value of the network ``name`` is a sequence, a map or the like."""
    kind = value.type.WhichOneof("value")
    if kind in _KINDS:
        raise ModelError(
            f"{value.name!r} of {name!r} is {_KINDS[kind]}, which no accelerator computes.",
            remedy="Export the network with dense tensors only.",
            tensor=value.name,
        )


def element_type(code: int, label: str, *, name: str) -> np.dtype[Any]:
    """NumPy's type for one of ONNX.

    Types that NumPy lacks, such as bfloat16 and those of 8, 4 or 2 bits, are ml_dtypes' own.

    Args:
        code: of ONNX's ``TensorProto.DataType``.
        label: the tensor, for errors.
        name: of the network.

    Raises:
        ModelError: for text, complex numbers, and a code that is not known.
    """
    from onnx import TensorProto, helper  # noqa: PLC0415 - heavy

    refused: dict[int, str] = {
        TensorProto.UNDEFINED: "has no element type",
        TensorProto.STRING: "holds text",
        TensorProto.COMPLEX64: "holds complex numbers",
        TensorProto.COMPLEX128: "holds complex numbers",
    }
    reason = refused.get(code)
    if reason is None and code not in TensorProto.DataType.values():
        reason = f"has the element type {code}, which is not known"
    if reason is not None:
        raise ModelError(
            f"The tensor {label!r} of {name!r} {reason}.", remedy=_NUMBERS_REMEDY, tensor=label
        )
    return np.dtype(helper.tensor_dtype_to_np_dtype(code))


def tensor_array(
    tensor: onnx.TensorProto, label: str, *, name: str, budget: ReadingBudget
) -> Array:
    """The value of a constant.

    Args:
        tensor: with its values, see :func:`.external.embed_weights`.
        label: how it is called in the graph, for errors.
        name: of the network.
        budget: that the value is counted in before it is made.

    Raises:
        ModelError: if its values do not fit its shape or are no numbers, or it is too large.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    dtype = element_type(tensor.data_type, label, name=name)
    if any(size < 0 for size in tensor.dims):
        raise _damaged(label, name, f"its shape is {tuple(tensor.dims)}")
    budget.take(math.prod(tensor.dims) * dtype.itemsize, f"the constant {label!r}")
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise _damaged(label, name, str(error)) from error


def constant_value(
    attributes: Mapping[str, Any], label: str, *, name: str, budget: ReadingBudget
) -> Array:
    """The value of a Constant, by whichever of its attributes gives it.

    Args:
        attributes: of the operator.
        label: its output, for errors.
        name: of the network.
        budget: that the value is counted in.

    Raises:
        ModelError: if it is sparse, text, absent or damaged.
    """
    if "value" in attributes:
        return tensor_array(attributes["value"], label, name=name, budget=budget)
    for attribute, dtype in _NUMBERS.items():
        if attribute in attributes:
            return np.asarray(attributes[attribute], dtype)
    given = ", ".join(attributes) or "nothing"
    raise ModelError(
        f"The constant {label!r} of {name!r} holds no dense numbers: it gives {given}.",
        remedy=_NUMBERS_REMEDY,
        tensor=label,
    )


_NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _damaged(label: str, name: str, reason: str) -> ModelError:
    return ModelError(
        f"The constant {label!r} of {name!r} is damaged ({reason}).",
        remedy="Copy or export the file again.",
        tensor=label,
    )
