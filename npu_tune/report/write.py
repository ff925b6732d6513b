"""Writes reports into files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from npu_tune.files import storage_errors, write_whole
from npu_tune.report.build import fill_in_best
from npu_tune.report.explain import Explanation, explain
from npu_tune.report.html import report_html
from npu_tune.report.markdown import report_markdown
from npu_tune.report.netron import write_annotated_model
from npu_tune.report.origin import FileOrigin, file_command
from npu_tune.report.pictures import WRITABLE
from npu_tune.report.sections import Whereabouts
from npu_tune.tuning import StudyResult, read_study, require_feasible
from npu_tune.tuning.folder import read_study_folder

REPORT_FILE = "report.html"
"""The report in a study's folder."""


@dataclass(frozen=True)
class WrittenReport:
    """A report on a study.

    Args:
        result: the study.
        explanation: of its best trial; None where no trial meets the limits.
        files: that were written.
    """

    result: StudyResult
    explanation: Explanation | None
    files: tuple[Path, ...]


def write_report(
    folder: Path,
    *,
    html: Path | None,
    markdown: Path | None = None,
    netron: Path | None = None,
    seconds: float,
) -> WrittenReport:
    """Explains a study and writes what is asked for.

    Args:
        folder: of the study.
        html: the file with everything; None for none.
        markdown: the file without plots; None for none.
        netron: a copy of the model with the figures in it; None for none.
        seconds: how long changes may be evaluated.

    Raises:
        UsageError: if there is no such study.
        MissingExtraError: if Bokeh is not installed and HTML is asked for.
        ModelError: if nothing can be written into the model.
        InfeasibleError: if there are no figures for the model, as no trial meets the limits.
        StorageError: if a file cannot be written.
    """
    result = fill_in_best(folder, read_study(folder))
    explanation = explain(folder, result, seconds=seconds)
    where = Whereabouts.of(folder, result)
    pages = [(html, report_html), (markdown, report_markdown)]
    files = []
    for path, page in pages:
        if path is not None:
            _write_page(path, page(result, explanation, where=where))
            files.append(path)
    if netron is not None:
        source = read_study_folder(folder).model.path
        with storage_errors("The model", netron, remedy=WRITABLE):
            best = require_feasible(result)
            command = file_command("report", folder, netron=netron)
            origin = FileOrigin(result.name, best.number, command)
            write_annotated_model(result, best, Path(source), netron, origin=origin)
        files.append(netron)
    return WrittenReport(result, explanation, tuple(files))


def _write_page(path: Path, text: str) -> None:
    with storage_errors("The report", path, remedy=WRITABLE):
        write_whole(path, text.encode())
