"""Markdown tables, and the format of numbers in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from npu_tune.report.tables import filled, table


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain_text(markdown: str) -> str:
    """The same for a terminal: tables and sentences no wider than text may be."""

    def is_row(line: str) -> bool:
        return line.startswith("| ")

    parts = []
    for is_table, lines in groupby(markdown.splitlines(), key=is_row):
        if is_table:
            header, _, *rows = [line.strip("| ").split(" | ") for line in lines]
            parts.append(table(header, rows))
        else:
            parts += map(filled, lines)
    return "\n".join(parts)


def percent(share: float) -> str:
    """Formats a share in percent; ``-`` if NaN or infinite."""
    return f"{100 * share:.2f} %" if np.isfinite(share) else "-"


def four_digits(number: float) -> str:
    """Formats a number with four decimals; ``-`` if NaN or infinite."""
    return f"{number:.4f}" if np.isfinite(number) else "-"


def count_of_seeds(numbers: pd.Series[int]) -> str:
    """Formats the number of runs behind medians, as a range where it varies."""
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low}" if low == high else f"{low} to {high}"


def evaluations(number: float) -> str:
    """Formats a number of evaluations; infinite where a level was not reached."""
    return f"{number:,.0f}" if np.isfinite(number) else "not reached"


def p_value(value: float) -> str:
    """Formats a p-value, small ones in powers of ten."""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
