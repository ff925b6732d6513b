"""The explanation as JSON values, for ``npu-tune report --json`` and inside the HTML file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from npu_tune.report.documents import Document, metric_document, optional_document
from npu_tune.report.explain.explanation import Explanation, pool_peaks
from npu_tune.report.explain.gains import ChangeGain
from npu_tune.report.explain.layer_costs import LayerCost, cause_shares
from npu_tune.report.verdict import export_command, worse_metrics
from npu_tune.targets import MemoryTimeline
from npu_tune.tuning.records import StudyResult


def report_document(
    result: StudyResult, explanation: Explanation | None, *, folder: Path
) -> Document:
    """What a report says of a study; ``npu-tune show --json`` has the rest.

    Args:
        result: the study.
        explanation: of its best trial; None where no trial meets the limits.
        folder: of the study.
    """
    return {
        "study": {"name": result.name, "folder": str(folder)},
        "model": {"name": result.model, "sha256": result.identity.model_sha256},
        "target": {"name": result.target, "fingerprint": dict(result.identity.fingerprint)},
        "metrics": [metric_document(metric) for metric in result.metrics],
        "baseline": optional_document(result, result.baseline),
        "best": optional_document(
            result, result.best if explanation is None else explanation.trial
        ),
        "why": None if explanation is None else _why(explanation, folder),
    }


def _why(explanation: Explanation, folder: Path) -> Document:
    memory = (explanation.memory_before, explanation.memory_after)
    return {
        "in_return": worse_metrics(explanation.result, explanation.trial),
        "leading": [gain.label for gain in explanation.leading],
        "gains": [_gain(gain) for gain in explanation.gains],
        "layers": [_layer(row) for row in explanation.layers],
        "bounded_by": cause_shares(explanation.layers),
        "advice": list(explanation.advice),
        "memory": dict(zip(("before", "after"), map(_memory, memory), strict=True)),
        "shortfall": explanation.shortfall,
        "export": export_command(explanation.result, explanation.trial, folder),
    }


def _gain(gain: ChangeGain) -> Document:
    own = _fields(gain)
    return own | {
        "names": list(gain.names),
        "metrics_without": dict(gain.metrics_without),
        "also": list(gain.also),
    }


def _layer(row: LayerCost) -> Document:
    changes = {knob: list(values) for knob, values in row.changes.items()}
    return _fields(row) | {"changes": changes}


def _fields(value: ChangeGain | LayerCost) -> Document:
    """The fields as they are; ``asdict`` would copy mappings that cannot be copied."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _memory(memory: MemoryTimeline | None) -> Document | None:
    if memory is None:
        return None
    return {
        "steps": list(memory.steps),
        "capacities": dict(memory.capacities),
        "buffers": [asdict(buffer) for buffer in memory.buffers],
        "peaks": list(_peaks(memory)),
    }


def _peaks(memory: MemoryTimeline) -> Iterable[Document]:
    for peak in pool_peaks(memory):
        yield {
            "pool": peak.pool,
            "used_bytes": peak.used_bytes,
            "layer": peak.layer,
            "live_bytes": peak.live_bytes,
            "maps": [buffer.name for buffer in peak.buffers],
        }
