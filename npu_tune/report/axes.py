"""What the axes of plots are, whatever draws them."""

from __future__ import annotations

from collections.abc import Iterable

from npu_tune.numerals import BYTE_UNITS
from npu_tune.targets import Goal, Metric

_KIB = 1024


def first_two(names: Iterable[str], metrics: Iterable[Metric]) -> tuple[Metric, Metric]:
    """The metrics of the axes: the first two named, filled up with the target's own first ones."""
    by_name = {metric.name: metric for metric in metrics}
    ordered = list(dict.fromkeys([*names, *by_name]))
    return by_name[ordered[0]], by_name[ordered[min(1, len(ordered) - 1)]]


def axis_value(value: float, metric: Metric) -> float:
    """A metric's value along an axis: bytes as KiB."""
    return value / _KIB if metric.unit in BYTE_UNITS else value


def axis_label(metric: Metric, goal: str) -> str:
    """Name, unit and kind of a metric, and whether more of it is better."""
    unit = "KiB" if metric.unit in BYTE_UNITS else metric.unit
    name = metric.name if unit in ("", metric.name) else f"{metric.name} [{unit}]"
    more = " (more is better)" if goal == Goal.MAXIMIZE else ""
    return f"{name}, {metric.kind}{more}"
