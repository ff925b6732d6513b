"""Reads the options of TFLite operators as plain values."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Fields that hold a code of an enumeration, and the name of that enumeration in the schema.
_ENUMERATIONS = {
    "FusedActivationFunction": "ActivationFunctionType",
    "Padding": "Padding",
    "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
    "Mode": "MirrorPadMode",
}
_NOT_FIELDS = re.compile(r"Init|GetRootAs.*|.*BufferHasIdentifier|.*(AsNumpy|Length|IsNone)")


@functools.cache
def enumeration(name: str) -> Mapping[int, str]:
    """Names of one enumeration of the TFLite schema, by code."""
    holder = getattr(importlib.import_module(f"tflite.{name}"), name)
    return MappingProxyType(
        {code: label for label, code in vars(holder).items() if isinstance(code, int)}
    )


@functools.cache
def _fields(options_name: str) -> tuple[type[Any], tuple[tuple[str, bool], ...]]:
    """The class of an options table, and (name, whether it is a vector) of each field."""
    holder = getattr(importlib.import_module(f"tflite.{options_name}"), options_name)
    names = [
        name for name in vars(holder) if name[0].isupper() and not _NOT_FIELDS.fullmatch(name)
    ]
    return holder, tuple((name, hasattr(holder, f"{name}Length")) for name in names)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _field_value(table: Any, name: str, *, is_vector: bool) -> Any:
    if is_vector:
        if not hasattr(table, f"{name}AsNumpy") or getattr(table, f"{name}IsNone")():
            return ()
        return tuple(getattr(table, f"{name}AsNumpy")().tolist())
    value = getattr(table, name)()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if name in _ENUMERATIONS:
        return enumeration(_ENUMERATIONS[name]).get(value, value)
    return value


def operator_attributes(operator: Any) -> Mapping[str, Any]:
    """Reads the builtin options of a TFLite operator, by names as in the schema (``stride_w``).

    Codes of enumerations, such as activations and paddings, are replaced by their names (``RELU``,
    ``SAME``).
    """
    options_name = enumeration("BuiltinOptions").get(operator.BuiltinOptionsType(), "NONE")
    table: Any = operator.BuiltinOptions()
    if options_name == "NONE":
        options_name = enumeration("BuiltinOptions2").get(operator.BuiltinOptions2Type(), "NONE")
        table = operator.BuiltinOptions2()
    if options_name == "NONE" or table is None:
        return MappingProxyType({})
    holder, fields = _fields(options_name)
    reader = holder()
    reader.Init(table.Bytes, table.Pos)
    return MappingProxyType(
        {_snake(name): _field_value(reader, name, is_vector=vector) for name, vector in fields}
    )


def operator_name(code: Any) -> str:
    """Schema name of an operator code, such as ``CONV_2D``; ``CUSTOM:name`` for a custom one."""
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = enumeration("BuiltinOperator").get(builtin, f"UNKNOWN_{builtin}")
    if name == "CUSTOM":
        custom: bytes = code.CustomCode() or b"?"
        return f"CUSTOM:{custom.decode('utf-8', 'replace')}"
    return name
