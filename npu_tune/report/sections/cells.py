"""Numbers and comparisons as cells of a report's tables."""

from __future__ import annotations

from npu_tune.numerals import format_ratio, format_value
from npu_tune.report.sections.model import Cell
from npu_tune.space import Value
from npu_tune.targets import Goal

_LEAST_RATIO = 0.0005
"""By which a number differs from the default's before it is called better or worse."""


def number_cell(value: float | None, unit: str) -> Cell:
    """A number in its unit; ``-`` for none."""
    return Cell("-") if value is None else Cell(format_value(value, unit), value)


def ratio_cell(value: float, reference: float) -> Cell:
    """A number as a share of another one."""
    return Cell(format_ratio(value, reference), value / reference if reference else None)


def change_cell(before: float | None, after: float | None, goal: str) -> Cell:
    """How much a number changed, and whether that is for the better."""
    if before is None or after is None:
        return Cell("")
    if not before:
        return Cell("" if before == after else "new")
    ratio = after / before - 1
    if abs(ratio) < _LEAST_RATIO:
        return Cell("0 %", 0.0)
    is_better = (ratio > 0) == (goal == Goal.MAXIMIZE)
    tone = "" if not goal else "better" if is_better else "worse"
    return Cell(f"{ratio:+.1%}".replace("%", " %"), ratio, tone=tone)


def value_text(value: Value | None) -> str:
    """The value of a knob in words."""
    return "-" if value is None else str(value)
