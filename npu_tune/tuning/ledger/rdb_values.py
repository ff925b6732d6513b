"""Numbers and times in the form of Optuna's tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

_INFINITE = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}


def stored_number(column: str, value: float) -> dict[str, Any]:
    """A number in the form of Optuna's tables, which keep infinities and NaN apart."""
    kind = "FINITE"
    if math.isnan(value):
        kind = "NAN"
    elif math.isinf(value):
        kind = "INF_POS" if value > 0 else "INF_NEG"
    return {column: value if kind == "FINITE" else None, f"{column}_type": kind}


def number_of(value: float | None, kind: Any) -> float:
    """The number that :func:`stored_number` made a row of, whose kind is a word or stands for one."""
    if value is not None:
        return float(value)
    return _INFINITE.get(kind if isinstance(kind, str) else kind.name, float("nan"))


def to_utc(moment: datetime | None) -> datetime | None:
    """A naive local time, as trials have it, as the naive UTC of the tables."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def from_utc(moment: datetime | None) -> datetime | None:
    """The inverse of :func:`to_utc`."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
