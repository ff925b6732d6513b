"""Comparisons: samplers x networks x targets x seeds at equal budgets, with statistics.

Four folders in a line, each importing from those before it only: ``file`` (the comparison file),
``runs``, ``analysis`` and ``output``.

Modules are imported when their names are first used: pandas and Arrow are slow to import, and a
worker process can do without most of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npu_tune.compare.analysis.analysis import Analysis, analyse
    from npu_tune.compare.file.config import ComparisonFile
    from npu_tune.compare.file.load import (
        comparison_to_toml,
        load_comparison,
        parse_comparison,
    )
    from npu_tune.compare.output.document import comparison_document
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
    "read_recording",
    "run_comparison",
    "summary_text",
    "write_output",
]

_HOMES = {
    "Analysis": "analysis.analysis",
    "ComparisonFile": "file.config",
    "ComparisonListener": "runs.perform",
    "ComparisonProgress": "runs.perform",
    "ComparisonResult": "runs.comparison",
    "Recording": "runs.recording",
    "analyse": "analysis.analysis",
    "comparison_document": "output.document",
    "comparison_to_toml": "file.load",
    "load_comparison": "file.load",
    "parse_comparison": "file.load",
    "read_recording": "runs.recording",
    "run_comparison": "runs.comparison",
    "summary_text": "output.summary",
    "write_output": "output.write",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
