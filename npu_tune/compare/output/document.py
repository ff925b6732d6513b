"""JSON document of ``npu-tune compare``, described in ``docs/json.md``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from npu_tune.compare.analysis.analysis import Analysis
from npu_tune.report.documents import Document


def comparison_document(analysis: Analysis, *, files: Sequence[Path]) -> Document:
    """Makes the comparison's document of the schema ``npu-tune/1``.

    Args:
        analysis: of the comparison.
        files: paths of the files that were written.
    """
    result = analysis.result
    comparison = result.comparison
    return {
        "comparison": {"name": comparison.name, "folder": str(comparison.folder)},
        "evaluations": comparison.compare.evaluations,
        "seeds": list(comparison.compare.seeds),
        "runs": {
            "planned": comparison.planned,
            "finished": len(result.recording.runs),
            "failed": len(result.failures),
        },
        "problems": [
            {
                "network": name.network,
                "target": name.target,
                "objective": name.objective,
                "model_sha256": curve.problem.model_sha256,
                "fingerprint": dict(curve.problem.fingerprint),
                "reference": {
                    "source": curve.best_known.source,
                    "cost": _json_value(curve.best_known.cost),
                    "hypervolume": _json_value(curve.best_known.hypervolume),
                },
            }
            for name, curve in analysis.problems.items()
        ],
        "medians": _rows(analysis.medians),
        "arrivals": _rows(analysis.arrivals),
        "overall": _rows(analysis.overall),
        "failures": [
            {"run": str(order.name), "message": str(error)} for order, error in result.failures
        ],
        "files": [str(path) for path in files],
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(column): _json_value(value) for column, value in row.items()}
        for row in table.to_dict("records")
    ]


def _json_value(value: Any) -> Any:
    """Replaces infinity (never reached) and NaN (does not apply), which JSON lacks, by null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
