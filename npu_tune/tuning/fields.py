"""What the values of a study file's keys may be, as types of its sections."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    NonNegativeFloat,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
)

from npu_tune.errors import UsageError
from npu_tune.quantities import (
    Bounds,
    Quantity,
    parse_bounds,
    parse_duration_s,
    parse_limit,
    parse_size,
)
from npu_tune.tuning.ledger.address import check_address
from npu_tune.validation import SHOWN

LEAST_MEMORY = 2**28
"""A worker takes half of it before it compiles anything."""


def _duration(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str) else value


def _size(value: object) -> object:
    return int(parse_size(value)) if isinstance(value, str) else value


def _storage(value: object) -> object:
    if not isinstance(value, str):
        # It may hold a password, so that it is not shown.
        message = "it takes a path or an address in quotes"
        raise UsageError(message, **{SHOWN: f"of type {type(value).__name__}"})
    check_address(value)
    return value


def _limits(value: object) -> object:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        limits: dict[str, Bounds] = {}
        for name, bounds in map(parse_limit, value):
            limits[name] = limits.get(name, Bounds()).joined(bounds)
        return limits
    if isinstance(value, dict):
        return {name: _bounds(bound) for name, bound in value.items()}
    return value


def _bounds(value: object) -> Bounds:
    if isinstance(value, Bounds):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Bounds(most=Quantity(float(value)))
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list | tuple) and all(isinstance(item, str) for item in texts):
        return parse_bounds(texts)
    raise ValueError(f"{value!r} is no limit; write a number, or such as '<= 256 KiB'")


def _limits_document(limits: dict[str, Bounds]) -> dict[str, Any]:
    return {name: bounds.to_document() for name, bounds in limits.items()}


def _numbers_by_name(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _true_or_count(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, int) and value > 0):
        return value
    raise ValueError("it takes true, false or a number of evaluations above 0")


def _cache(value: object) -> object:
    if value is True:
        raise ValueError("it takes a folder in quotes, or false")
    return _without_zero_byte(value)


def _without_zero_byte(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("it holds a zero byte, which no file's name does")
    return value


def _file_name(value: object) -> object:
    if value == "." or value == "..":  # noqa: PLR1714 - a list or table cannot be looked up in a set
        raise ValueError("it stands for a folder, and names none")
    return _without_zero_byte(value)


PositiveFinite = Annotated[PositiveFloat, Field(allow_inf_nan=False)]
Seconds = Annotated[PositiveFinite, BeforeValidator(_duration)]
SecondsOrZero = Annotated[NonNegativeFloat, Field(allow_inf_nan=False), BeforeValidator(_duration)]
SizeField = Annotated[PositiveInt, BeforeValidator(_size)]
Memory = Annotated[int, Field(ge=LEAST_MEMORY, le=2**62), BeforeValidator(_size)]
StorageField = Annotated[str, BeforeValidator(_storage)]
TrueOrCount = Annotated[bool | int, BeforeValidator(_true_or_count)]
PathField = Annotated[Path, Field(strict=False), BeforeValidator(_without_zero_byte)]
CacheField = Annotated[Literal[False] | PathField, BeforeValidator(_cache)]
NameField = Annotated[str, Field(min_length=1), BeforeValidator(_file_name)]
Limits = Annotated[
    dict[str, InstanceOf[Bounds]],
    BeforeValidator(_limits),
    PlainSerializer(_limits_document, return_type=dict[str, Any]),
]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Weights = Annotated[tuple[PositiveFinite, ...], BeforeValidator(_numbers_by_name)]
