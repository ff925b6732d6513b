"""Comparisons: samplers x networks x targets x seeds at equal budgets, with statistics.

Four folders in a line, each importing from those before it only: ``file`` (the comparison file),
``runs``, ``analysis`` and ``output``.

Modules are imported when their names are first used: pandas and Arrow are slow to import, and a
worker process can do without most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._callable import make_callable
from npu_tune._lazy import lazy_attributes

if TYPE_CHECKING:
    from npu_tune.compare.analysis.analysis import Analysis, analyse
    from npu_tune.compare.file.config import ComparisonFile
    from npu_tune.compare.file.load import (
        comparison_to_toml,
        load_comparison,
        parse_comparison,
    )
    from npu_tune.compare.output.document import comparison_document
    from npu_tune.compare.output.markdown import plain_text
    from npu_tune.compare.output.summary import summary_text
    from npu_tune.compare.output.write import write_output
    from npu_tune.compare.runs.comparison import ComparisonResult, run_comparison
    from npu_tune.compare.runs.perform import ComparisonListener, ComparisonProgress
    from npu_tune.compare.runs.recording import Recording, read_recording

__all__ = [
    "Analysis",
    "ComparisonFile",
    "ComparisonListener",
    "ComparisonProgress",
    "ComparisonResult",
    "Recording",
    "analyse",
    "comparison_document",
    "comparison_to_toml",
    "load_comparison",
    "parse_comparison",
    "plain_text",
    "read_recording",
    "run_comparison",
    "summary_text",
    "write_output",
]

_HOMES = {
    "Analysis": "npu_tune.compare.analysis.analysis",
    "ComparisonFile": "npu_tune.compare.file.config",
    "ComparisonListener": "npu_tune.compare.runs.perform",
    "ComparisonProgress": "npu_tune.compare.runs.perform",
    "ComparisonResult": "npu_tune.compare.runs.comparison",
    "Recording": "npu_tune.compare.runs.recording",
    "analyse": "npu_tune.compare.analysis.analysis",
    "comparison_document": "npu_tune.compare.output.document",
    "comparison_to_toml": "npu_tune.compare.file.load",
    "load_comparison": "npu_tune.compare.file.load",
    "parse_comparison": "npu_tune.compare.file.load",
    "plain_text": "npu_tune.compare.output.markdown",
    "read_recording": "npu_tune.compare.runs.recording",
    "run_comparison": "npu_tune.compare.runs.comparison",
    "summary_text": "npu_tune.compare.output.summary",
    "write_output": "npu_tune.compare.output.write",
}


__getattr__ = lazy_attributes(__name__, _HOMES)

make_callable(__name__)
