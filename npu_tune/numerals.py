"""The way numbers are written for people: with no digit that says nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

BYTE_UNITS = ("B", "byte", "bytes")
_KIB = 1024
_MOST_RATIO_DIGITS = 3
_MOST_COST_DIGITS = 4


def format_value(value: float, unit: str = "", *, error: float = 0.0) -> str:
    """A number for people: bytes as KiB, large numbers whole, with separators, others in 4 digits.

    Args:
        value: the number.
        unit: of it.
        error: its standard error as a share of it; digits beyond the first that it reaches are
            left out. 0 for a number that is exact.
    """
    if unit in BYTE_UNITS:
        kib = value / _KIB
        return f"{_rounded(kib, error):,.{_decimals(kib, error, most=1)}f} KiB"
    if error > 0 and value:
        return f"{_rounded(value, error):,.{_decimals(value, error)}f}"
    if math.isfinite(value) and (float(value).is_integer() or abs(value) >= 1000):
        return f"{round(value):,}"
    return f"{value:,.4g}"


def format_ratio(value: float, reference: float, *, error: float = 0.0) -> str:
    """``value / reference`` in at most three decimals; ``-`` where there is nothing to divide by."""
    if not reference:
        return "-"
    ratio = value / reference
    return f"{ratio:.{_decimals(ratio, error, most=_MOST_RATIO_DIGITS)}f}"


def format_cost(cost: float | None, *, error: float = 0.0) -> str:
    """A cost in at most four decimals; ``-`` where there is none."""
    if cost is None:
        return "-"
    return f"{cost:.{_decimals(cost, error, most=_MOST_COST_DIGITS)}f}"


def _place(value: float, error: float) -> int:
    """The decimal place of the first digit that the error reaches; -2 for hundredths."""
    return math.floor(math.log10(abs(value) * error))


def _decimals(value: float, error: float, most: int = 99) -> int:
    if not (error > 0 and value and math.isfinite(value)):
        return most
    return min(max(-_place(value, error), 0), most)


def _rounded(value: float, error: float) -> float:
    if not (error > 0 and value and math.isfinite(value)):
        return value
    return round(value, -_place(value, error))


def number_ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in order, as people write them: ``1, 3 to 5``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        ", ".join(map(str, run)) if len(run) < 3 else f"{run[0]} to {run[-1]}" for run in runs
    )
