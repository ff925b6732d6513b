"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from npu_tune.report.explain import Explanation
from npu_tune.report.sections import Passage, ReportTable, Whereabouts, report_sections
from npu_tune.tuning.records import StudyResult


def report_markdown(
    result: StudyResult, explanation: Explanation | None, *, where: Whereabouts
) -> str:
    """The whole report without its plots, for places that show Markdown.

    Args:
        result: the study.
        explanation: of one of its trials; None where no trial meets the limits.
        where: the study is; commands name it.
    """
    sections = report_sections(result, explanation, where=where)
    parts = [f"# {_escaped(result.model)} on {_escaped(result.target)}"]
    for section in sections:
        parts += _section(section)
    parts.append(f"<!-- {where.origin.sentence.replace('--', '- -')} -->")
    return "\n\n".join(parts) + "\n"


def _section(section: Passage) -> Iterator[str]:
    yield f"## {section.title}"
    yield from map(_escaped, section.sentences)
    if section.commands:
        yield _fenced("sh", "\n".join(section.commands))
    if section.table is not None:
        yield "\n".join(_table(section.table))
    if section.listing:
        yield _fenced("toml", section.listing.rstrip())


def _table(table: ReportTable) -> Iterable[str]:
    rows = [[cell.text for cell in row] for row in table.rows]
    numbers = [
        any(row[column].value is not None for row in table.rows)
        for column in range(len(table.columns))
    ]
    yield _row(table.columns)
    yield _row("---:" if is_number else "---" for is_number in numbers)
    for row in rows:
        yield _row(map(_escaped, row))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _escaped(text: str) -> str:
    """Text that no renderer takes for markup."""
    for mark in "\\`*_<>|[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")
