"""A report in words and tables, the same for every format it is written in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Args:
        text: what stands in it.
        value: by which its column is sorted; None to sort by the text.
        layer: a layer whose row it leads to; "" for none.
        tone: ``better`` or ``worse`` than the baseline; "" for neither.
    """

    text: str
    value: float | None = None
    layer: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table with a cell per column in every row.

    Args:
        columns: their headings.
        rows: the cells.
        layers: the layer that a row is about, which links lead to; empty where rows are about
            something else.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a report.

    Args:
        key: names it, such as ``memory``; what is drawn for it goes by that name.
        title: its heading.
        sentences: what it says.
        table: what it lists; None where there is nothing to list.
        commands: to be typed.
        listing: a file as it is; "" for none.
    """

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    table: ReportTable | None = None
    commands: tuple[str, ...] = ()
    listing: str = ""


def said(*sentences: str) -> tuple[str, ...]:
    """Those sentences that say something."""
    return tuple(sentence for sentence in sentences if sentence)
