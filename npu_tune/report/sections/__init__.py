"""A report in words and tables, the same for every format it is written in."""

from __future__ import annotations

from pathlib import Path

from npu_tune.report.explain import Explanation
from npu_tune.report.sections.found import (
    failures_section,
    front_section,
    search_section,
    verdict_section,
)
from npu_tune.report.sections.model import Cell, Section, Table
from npu_tune.report.sections.provenance import file_section, provenance_section
from npu_tune.report.sections.why import changes_section, layers_section, memory_section
from npu_tune.tuning.records import StudyResult

__all__ = ["Cell", "Section", "Table", "report_sections"]


def report_sections(
    result: StudyResult, explanation: Explanation | None, *, folder: Path
) -> tuple[Section, ...]:
    """Everything that a report says, in the order of what people ask first.

    Args:
        result: the study.
        explanation: of its best trial; None where no trial meets the limits.
        folder: of the study.
    """
    found = [verdict_section(result), file_section(result, folder)]
    if explanation is not None:
        found += [
            changes_section(explanation),
            layers_section(explanation),
            memory_section(explanation),
        ]
    found += [
        front_section(result),
        search_section(result),
        failures_section(result),
        provenance_section(result, folder),
    ]
    return tuple(section for section in found if section is not None)
