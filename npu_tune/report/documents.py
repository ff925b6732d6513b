"""Studies as JSON values of the schema ``npu-tune/1``, described in ``docs/json.md``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from npu_tune.report.layers import layer_changes
from npu_tune.report.yardsticks import compare_with_yardsticks
from npu_tune.targets import Metric
from npu_tune.tuning.records import StudyResult, TrialRecord

Document: TypeAlias = dict[str, Any]


def study_document(result: StudyResult, *, folder: Path | None) -> Document:
    """What ``tune``, ``run`` and ``show`` answer."""
    best = result.best
    return {
        "study": {"name": result.name, "folder": None if folder is None else str(folder)},
        "stopped": result.stopped,
        "model": {"name": result.model, "sha256": result.model_sha256},
        "target": {"name": result.target, "fingerprint": dict(result.target_fingerprint)},
        "metrics": [metric_document(metric) for metric in result.metrics],
        "objective": dict(result.objective),
        "directions": dict(result.directions),
        "limits": dict(result.limits),
        "baseline": _optional(result, result.baseline),
        "baseline_again": None if result.baseline_again is None else dict(result.baseline_again),
        "best": _optional(result, best),
        "front": [trial_document(result, trial) for trial in result.front],
        "least_infeasible": None if best else _optional(result, result.least_infeasible),
        "yardsticks": [] if best is None else _yardsticks(result, best),
        "references": {label: dict(figures) for label, figures in result.references.items()},
        "layers": [] if best is None else layers_document(result, best),
        "trials": trial_counts(result),
        "failures": [_failure(result, trial) for trial in result.trials if trial.failure],
    }


def trial_counts(result: StudyResult) -> Document:
    """How many trials there are of each sort; every trial is counted exactly once."""
    duplicates = sum(trial.duplicate_of is not None for trial in result.trials)
    failed = sum(
        trial.duplicate_of is None and trial.failure is not None for trial in result.trials
    )
    return {
        "finished": len(result.trials) - duplicates - failed,
        "failed": failed,
        "duplicates": duplicates,
        "planned": result.evaluations_planned,
    }


def trial_document(result: StudyResult, trial: TrialRecord) -> Document:
    """One evaluated trial, with its whole configuration and its difference from the default."""
    return {
        "trial": trial.number,
        "origin": trial.origin,
        "metrics": dict(trial.metrics),
        "cost": trial.cost,
        "feasible": trial.feasible,
        "violations": dict(trial.violations),
        "configuration": dict(trial.configuration),
        "changes": trial.configuration.difference(result.default),
        "notes": list(trial.notes),
        "seconds": trial.seconds,
    }


def metric_document(metric: Metric) -> Document:
    """A metric's name, unit, kind and description."""
    return {**asdict(metric), "kind": str(metric.kind)}


def layers_document(result: StudyResult, trial: TrialRecord) -> list[Document]:
    """Every layer with its cycles in the baseline and in ``trial``, and the knobs changed."""
    return [
        {
            "layer": row.layer,
            "cycles_before": row.cycles_before,
            "cycles_after": row.cycles_after,
            "changes": {
                knob: {"before": before, "after": after}
                for knob, (before, after) in row.changes.items()
            },
        }
        for row in layer_changes(result, trial)
    ]


def _optional(result: StudyResult, trial: TrialRecord | None) -> Document | None:
    return None if trial is None else trial_document(result, trial)


def _yardsticks(result: StudyResult, best: TrialRecord) -> list[Document]:
    return [
        {
            "label": row.label,
            "metrics": dict(row.metrics),
            "cost": row.cost,
            "best_is_better_on": list(row.beaten_on),
            "best_is_worse_on": list(row.lost_on),
            "beaten": row.is_beaten,
        }
        for row in compare_with_yardsticks(result, best)
    ]


def _failure(result: StudyResult, trial: TrialRecord) -> Document:
    return {
        "trial": trial.number,
        "class": trial.failure,
        "message": trial.message,
        "changes": trial.configuration.difference(result.default),
        "duplicate_of": trial.duplicate_of,
    }
