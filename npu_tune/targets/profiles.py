"""What a profile says of its layers, and profiles as the compact tables that trials keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npu_tune.targets.metrics import ProfileSchema

Profile = Mapping[str, Mapping[str, float]]
"""Per layer, value by column name; see :class:`npu_tune.targets.ProfileSchema`."""


def bounding_cause(schema: ProfileSchema, row: Mapping[str, float]) -> str:
    """The part of the hardware that bounds a layer, as a person calls it.

    It is that of the largest column alone, however near another one comes; of equal ones, that
    which the schema names first.

    Args:
        schema: of the profile.
        row: of the layer.

    Returns:
        "" where it is not known: the schema names no such columns, the row lacks one of them, as
        those of older trials may, or all of them are 0.
    """
    if not schema.causes or any(column not in row for column in schema.causes):
        return ""
    largest = max(schema.causes, key=row.__getitem__)
    return schema.causes[largest] if row[largest] > 0.0 else ""


def pack_profile(profile: Profile) -> dict[str, Any]:
    """A profile as one table, so that the column names are not repeated for each layer."""
    if not profile:
        return {}
    columns = list(dict.fromkeys(column for row in profile.values() for column in row))
    return {
        "columns": columns,
        "rows": {layer: _cells(row, columns) for layer, row in profile.items()},
    }


def unpack_profile(packed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The reverse of :func:`pack_profile`."""
    columns = packed.get("columns", ())
    return {
        layer: {c: float(v) for c, v in zip(columns, row, strict=True) if v is not None}
        for layer, row in packed.get("rows", {}).items()
    }


def _cells(row: Mapping[str, float], columns: Sequence[str]) -> list[float | int | None]:
    """The values of a row; nearly all are floats, which are soon told."""
    return [
        (int(value) if value.is_integer() else value) if type(value) is float else _short(value)
        for value in map(row.get, columns)
    ]


def _short(value: float | None) -> float | int | None:
    # Only floats have `is_integer` before Python 3.12, and a target may count in integers.
    return int(value) if value is not None and float(value).is_integer() else value
