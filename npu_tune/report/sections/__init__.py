"""A report in words and tables, the same for every format it is written in."""

from __future__ import annotations

from npu_tune.report.explain import Explanation
from npu_tune.report.sections.found import (
    failures_section,
    front_section,
    search_section,
    verdict_section,
)
from npu_tune.report.sections.model import Cell, Passage, ReportTable
from npu_tune.report.sections.provenance import Whereabouts, file_section, provenance_section
from npu_tune.report.sections.why import changes_section, layers_section, memory_section
from npu_tune.tuning.records import StudyResult

__all__ = ["Cell", "Passage", "ReportTable", "Whereabouts", "report_sections"]


def report_sections(
    result: StudyResult, explanation: Explanation | None, *, where: Whereabouts
) -> tuple[Passage, ...]:
    """Everything that a report says, in the order of what people ask first.

    Args:
        result: the study.
        explanation: of one of its trials; None where no trial meets the limits.
        where: the study is.
    """
    found: list[Passage | None]
    if explanation is None:
        found = [Passage("verdict", "Verdict", ("No trial meets the limits.",))]
    else:
        found = [
            verdict_section(result, explanation.trial),
            file_section(result, explanation.trial, where),
            changes_section(explanation),
            layers_section(explanation),
            memory_section(explanation),
        ]
    found += [
        front_section(result),
        search_section(result),
        failures_section(result),
        provenance_section(result, where),
    ]
    return tuple(section for section in found if section is not None)
