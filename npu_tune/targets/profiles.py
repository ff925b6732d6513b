"""Profiles as compact JSON tables, the way trials and stores keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Profile = Mapping[str, Mapping[str, float]]
"""Per layer, value by column name; see :class:`npu_tune.targets.ProfileSchema`."""


def pack_profile(profile: Profile) -> dict[str, Any]:
    """A profile as one table, so that the column names are not repeated for each layer."""
    if not profile:
        return {}
    columns = list(dict.fromkeys(column for row in profile.values() for column in row))
    return {
        "columns": columns,
        "rows": {layer: [_short(row.get(c)) for c in columns] for layer, row in profile.items()},
    }


def unpack_profile(packed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The reverse of :func:`pack_profile`."""
    columns = packed.get("columns", ())
    return {
        layer: {c: float(v) for c, v in zip(columns, row, strict=True) if v is not None}
        for layer, row in packed.get("rows", {}).items()
    }


def _short(value: float | None) -> float | int | None:
    # Only floats have `is_integer` before Python 3.12, and a target may count in integers.
    return int(value) if value is not None and float(value).is_integer() else value
