"""Plain text tables, and lines that are no wider than the text around them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from npu_tune.columns import text_columns
from npu_tune.numerals import format_value
from npu_tune.targets import Metric

UNBROKEN = "\N{NO-BREAK SPACE}"
"""Stands for a space at which no header is broken."""

_GAP = 2
"""Spaces between columns."""

_LEAST_TEXT = 14
"""Columns that are left to a text that is wrapped, whatever stands beside it."""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    wrapped: Sequence[int] = (),
) -> str:
    """Columns separated by two spaces, as wide together as text may be.

    Where that is not enough, headers are broken at their spaces, then the texts of some columns
    are wrapped, and at last the columns that have no room follow in a table of their own below,
    with the first one repeated.

    Args:
        header: a cell per column.
        rows: the same, line by line.
        left: so many of the first columns are flush left, the others flush right.
        wrapped: positions of columns with texts that may go on in the next line.
    """
    columns = [[head, *cells] for head, *cells in zip(header, *rows, strict=True)]
    room = text_columns()
    if _width(map(_widest, columns)) > room:
        columns = [_with_broken_header(column) for column in columns]
    columns = _wrap(columns, wrapped, room)
    blocks: list[list[int]] = [[]]
    for position, column in enumerate(columns):
        taken = [_widest(columns[each]) for each in blocks[-1]]
        if len(blocks[-1]) > 1 and _width([*taken, _widest(column)]) > room:
            blocks.append([0])
        blocks[-1].append(position)
    return "\n\n".join(_block(columns, block, left) for block in blocks)


def fits(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table needs no more room than there is, every cell in one line."""
    return _width(_widest(column) for column in zip(header, *rows, strict=True)) <= text_columns()


def filled(text: str) -> str:
    """Text whose lines go on in the next one where they are too wide; words stay whole."""
    return "\n".join(_filled_line(line) for line in text.splitlines())


def metrics_text(values: Mapping[str, float], metrics: Sequence[Metric]) -> str:
    """A table of one evaluation's metrics with their kinds."""
    shown = [metric for metric in metrics if metric.name in values]
    body = [[m.name, format_value(values[m.name], m.unit), str(m.kind)] for m in shown]
    return table(["metric", "value", "kind"], body)


def _filled_line(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line,
        text_columns(),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width(widths: Iterator[int] | Sequence[int]) -> int:
    """Of columns beside each other."""
    each = list(widths)
    return sum(each) + _GAP * (len(each) - 1)


def _widest(cells: Sequence[str]) -> int:
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _with_broken_header(column: list[str]) -> list[str]:
    head, *cells = column
    room = max([*map(len, cells), *map(len, head.split(" ")), 1])
    return ["\n".join(textwrap.wrap(head, room)), *cells]


def _wrap(columns: list[list[str]], wrapped: Sequence[int], room: int) -> list[list[str]]:
    """Takes room from the widest of the columns that may be wrapped until all fit, if they do."""
    widths = [_widest(column) for column in columns]
    while wrapped and _width(widths) > room:
        widest = max(wrapped, key=lambda position: widths[position])
        if widths[widest] <= _LEAST_TEXT:
            break
        widths[widest] -= 1
    return [
        [_wrapped_cell(cell, widths[position]) for cell in column]
        if position in wrapped
        else column
        for position, column in enumerate(columns)
    ]


def _wrapped_cell(cell: str, width: int) -> str:
    lines = textwrap.wrap(cell, width, break_on_hyphens=False)
    return "\n".join(lines)


def _block(columns: Sequence[Sequence[str]], block: Sequence[int], left: int) -> str:
    widths = {position: _widest(columns[position]) for position in block}
    lines = []
    for row in range(len(columns[0])):
        cells = {position: columns[position][row].split("\n") for position in block}
        height = max(map(len, cells.values()))
        lines += [
            _line(cells, widths, line, height, left=left, is_header=row == 0)
            for line in range(height)
        ]
    return "\n".join(lines).replace(UNBROKEN, " ")


def _line(
    cells: Mapping[int, Sequence[str]],
    widths: Mapping[int, int],
    line: int,
    height: int,
    *,
    left: int,
    is_header: bool,
) -> str:
    parts = []
    for position, texts in cells.items():
        # Headers stand on what they are of, everything else begins in the first line.
        own = line - (height - len(texts) if is_header else 0)
        text = texts[own] if 0 <= own < len(texts) else ""
        width = widths[position]
        parts.append(text.ljust(width) if position < left else text.rjust(width))
    return (" " * _GAP).join(parts).rstrip()
