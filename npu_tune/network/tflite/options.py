"""Reads the options of TFLite operators as plain values."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from npu_tune.network.tflite.damage import DamagedError, Entries

# Fields that hold a code of an enumeration, and the name of that enumeration in the schema.
_ENUMERATIONS = {
    "FusedActivationFunction": "ActivationFunctionType",
    "Padding": "Padding",
    "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
    "Mode": "MirrorPadMode",
}
_NEWER_CODES = {
    "BuiltinOperator": {209: "STABLEHLO_CASE"},
    "TensorType": {19: "INT2", 20: "UINT4", 21: "FLOAT8_E4M3FN", 22: "FLOAT8_E5M2"},
}
"""What LiteRT's schema has and the oldest tflite package that is supported has not."""
_NOT_FIELDS = re.compile(r"Init|GetRootAs.*|.*BufferHasIdentifier|.*(AsNumpy|Length|IsNone)")


@functools.cache
def enumeration(name: str) -> Mapping[int, str]:
    """Names of one enumeration of the TFLite schema, by code."""
    holder = getattr(importlib.import_module(f"tflite.{name}"), name)
    known = {code: label for label, code in vars(holder).items() if isinstance(code, int)}
    return MappingProxyType(_NEWER_CODES.get(name, {}) | known)


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


def _field_value(table: Any, name: str, entries: Entries, *, is_vector: bool) -> Any:
    if is_vector:
        if not hasattr(table, f"{name}AsNumpy"):
            return ()
        length = getattr(table, f"{name}Length")()
        return entries.numbers(length, getattr(table, f"{name}AsNumpy"), f"the option {name}")
    value = getattr(table, name)()
    if isinstance(value, bytes):
        return entries.text(value, f"the option {name}")
    if name in _ENUMERATIONS:
        known = enumeration(_ENUMERATIONS[name])
        if value not in known:
            raise DamagedError(f"an operator has the unknown {_ENUMERATIONS[name]} {value}")
        return known[value]
    return value


def operator_attributes(operator: Any, entries: Entries) -> Mapping[str, Any]:
    """Reads the builtin options of a TFLite operator, by names as in the schema (``stride_w``).

    Codes of enumerations, such as activations and paddings, are replaced by their names (``RELU``,
    ``SAME``).

    Args:
        operator: the table of the file.
        entries: counts the lists among the options.
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
        {
            _snake(name): _field_value(reader, name, entries, is_vector=vector)
            for name, vector in fields
        }
    )


def operator_name(code: Any, entries: Entries) -> str:
    """Schema name of an operator code, such as ``CONV_2D``; ``CUSTOM:name`` for a custom one."""
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = enumeration("BuiltinOperator").get(builtin, f"UNKNOWN_{builtin}")
    if name == "CUSTOM":
        return f"CUSTOM:{entries.text(code.CustomCode(), 'an operator code') or '?'}"
    return name
