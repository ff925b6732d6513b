"""Sections as plain text, shortened for a terminal."""

from __future__ import annotations

from npu_tune.report.sections.model import Passage
from npu_tune.report.tables import filled, table


def section_text(section: Passage, *, columns: tuple[str, ...], most_rows: int) -> str:
    """A section with some of its columns and its first rows.

    Args:
        section: what to write.
        columns: of its table, those to show, as far as it has them.
        most_rows: of its table; how many are left out is said.
    """
    lines = [section.title, *map(filled, section.sentences)]
    if section.table is None or not section.table.rows:
        return "\n".join(lines)
    places = [
        section.table.columns.index(name) for name in columns if name in section.table.columns
    ]
    rows = [[row[place].text for place in places] for row in section.table.rows[:most_rows]]
    lines.append(table([section.table.columns[place] for place in places], rows))
    left_out = len(section.table.rows) - len(rows)
    if left_out:
        lines.append(f"({left_out} more; `npu-tune report` has them all)")
    return "\n".join(lines)
