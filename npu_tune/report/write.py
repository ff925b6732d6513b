"""Writes reports into files."""

from __future__ import annotations

from pathlib import Path

from npu_tune.files import storage_errors, write_whole
from npu_tune.report.explain import Explanation
from npu_tune.report.html import report_html
from npu_tune.report.markdown import report_markdown
from npu_tune.report.pictures import WRITABLE
from npu_tune.tuning.records import StudyResult

REPORT_FILE = "report.html"
"""The report in a study's folder, and in an exported one."""


def write_html(
    path: Path, result: StudyResult, explanation: Explanation | None, *, folder: Path
) -> Path:
    """Writes the HTML report and returns its path; see :func:`npu_tune.report.html.report_html`.

    Raises:
        MissingExtraError: if Bokeh is not installed.
        StorageError: if the file cannot be written.
    """
    return _write(path, report_html(result, explanation, folder=folder))


def write_markdown(
    path: Path, result: StudyResult, explanation: Explanation | None, *, folder: Path
) -> Path:
    """Writes the report as Markdown and returns its path.

    Raises:
        StorageError: if the file cannot be written.
    """
    return _write(path, report_markdown(result, explanation, folder=folder))


def _write(path: Path, text: str) -> Path:
    with storage_errors("The report", path, remedy=WRITABLE):
        write_whole(path, text.encode())
    return path
