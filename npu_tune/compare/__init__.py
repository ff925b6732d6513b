"""Comparisons: samplers x networks x targets x seeds at equal budgets, with statistics.

Modules are imported when their names are first used: pandas and Arrow are slow to import, and a
worker process can do without most of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npu_tune.compare.analysis import Analysis, analyse
    from npu_tune.compare.comparing import ComparisonResult, run_comparison
    from npu_tune.compare.comparison_file import (
        comparison_to_toml,
        load_comparison,
        parse_comparison,
    )
    from npu_tune.compare.document import comparison_document
    from npu_tune.compare.output import write_output
    from npu_tune.compare.performing import Listener as ComparisonListener
    from npu_tune.compare.performing import Standing
    from npu_tune.compare.recording import Recording, read_recording
    from npu_tune.compare.sections import ComparisonFile
    from npu_tune.compare.summary import summary_text

__all__ = [
    "Analysis",
    "ComparisonFile",
    "ComparisonListener",
    "ComparisonResult",
    "Recording",
    "Standing",
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
    "Analysis": "analysis",
    "ComparisonFile": "sections",
    "ComparisonResult": "comparing",
    "Recording": "recording",
    "Standing": "performing",
    "analyse": "analysis",
    "comparison_document": "document",
    "comparison_to_toml": "comparison_file",
    "load_comparison": "comparison_file",
    "parse_comparison": "comparison_file",
    "read_recording": "recording",
    "run_comparison": "comparing",
    "summary_text": "summary",
    "write_output": "output",
}


def __getattr__(name: str) -> Any:
    if name == "ComparisonListener":
        return importlib.import_module(f"{__name__}.performing").Listener
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
