"""Plain text tables and the way numbers are written in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from npu_tune.targets import Metric

BYTE_UNITS = ("B", "byte", "bytes")
_KIB = 1024


def format_value(value: float, unit: str = "") -> str:
    """A number for people: bytes as KiB, whole numbers with separators, the rest in 4 digits."""
    if unit in BYTE_UNITS:
        return f"{value / _KIB:,.1f} KiB"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def format_ratio(value: float, reference: float) -> str:
    """``value / reference`` in three decimals; ``-`` where there is nothing to divide by."""
    return f"{value / reference:.3f}" if reference else "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns separated by two spaces; the first ``left`` flush left, the others flush right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def metrics_text(values: Mapping[str, float], metrics: Sequence[Metric]) -> str:
    """A table of one evaluation's metrics with their kinds."""
    shown = [metric for metric in metrics if metric.name in values]
    body = [[m.name, format_value(values[m.name], m.unit), str(m.kind)] for m in shown]
    return table(["metric", "value", "kind"], body)
