"""Studies as JSON values of the schema ``npu-tune/1``, described in ``docs/json.md``."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from npu_tune.report.layers import LayerChange, layer_changes
from npu_tune.report.polished import polished_document
from npu_tune.report.predictions import prediction_errors
from npu_tune.report.references import compare_with_references
from npu_tune.report.stretches import stretches_document
from npu_tune.targets import Metric
from npu_tune.tuning.records import StudyResult, TrialRecord

Document: TypeAlias = dict[str, Any]


def study_document(result: StudyResult, *, folder: Path | None) -> Document:
    """What ``tune``, ``run`` and ``show`` print."""
    best, objective = result.best, result.objective
    return {
        "study": {"name": result.name, "folder": None if folder is None else str(folder)},
        "stopped": result.stopped,
        "model": {"name": result.model, "sha256": result.identity.model_sha256},
        "target": {"name": result.target, "fingerprint": dict(result.identity.fingerprint)},
        "metrics": [metric_document(metric) for metric in result.metrics],
        "objective": dict(objective.weights),
        "directions": {name: str(way) for name, way in objective.directions.items()},
        "goals": {name: str(goal) for name, goal in result.goals.items()},
        "limits": dict(objective.limits),
        "floors": dict(objective.floors),
        "deterministic": result.deterministic,
        "spread": dict(result.spread),
        "baseline": optional_document(result, result.baseline),
        "baseline_again": None if result.baseline_again is None else dict(result.baseline_again),
        "best": optional_document(result, best),
        "ties": [trial.number for trial in result.ties],
        "front": [trial_document(result, trial) for trial in result.front],
        "least_infeasible": None if best else optional_document(result, result.least_infeasible),
        "yardsticks": [] if best is None else references_document(result, best),
        "references": {label: dict(metrics) for label, metrics in result.references.items()},
        "bound": _bound(result),
        "confidence": None if result.confidence is None else result.confidence.to_dict(),
        "notes": list(result.notes),
        "cost_column": result.profile.cost,
        "cost_unit": result.profile.unit,
        "layers": [] if best is None else layers_document(result, best),
        "trials": trial_counts(result),
        "predictions": _predictions(result),
        "polished": polished_document(result),
        "searches": [asdict(each) for each in result.searches],
        **stretches_document(result.stretches),
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
        "cached": sum(trial.cached for trial in result.trials),
        "planned": result.evaluations_planned,
    }


def trial_document(result: StudyResult, trial: TrialRecord) -> Document:
    """One evaluated trial, with its whole configuration and its difference from the default."""
    return {
        "trial": trial.number,
        "origin": trial.origin,
        "metrics": dict(trial.metrics),
        "cost": trial.cost,
        "cost_interval": _interval(trial),
        "samples": trial.samples,
        "confirmed": trial.confirmed,
        "predicted": trial.predicted,
        "feasible": trial.feasible,
        "violations": dict(trial.violations),
        "configuration": dict(trial.configuration),
        "changes": trial.configuration.difference(result.default),
        "notes": list(trial.notes),
        "seconds": trial.seconds,
    }


def metric_document(metric: Metric) -> Document:
    """Everything that a target says of a metric."""
    goal = None if metric.goal is None else str(metric.goal)
    return {**asdict(metric), "kind": str(metric.kind), "goal": goal}


def layers_document(result: StudyResult, trial: TrialRecord) -> list[Document]:
    """Every layer with its cost in the baseline and in ``trial``, and the knobs changed."""
    return [
        {
            "layer": row.layer,
            "cost_before": row.cost_before,
            "cost_after": row.cost_after,
            **_as_cycles(result, row),
            "changes": {
                knob: {"before": before, "after": after}
                for knob, (before, after) in row.changes.items()
            },
        }
        for row in layer_changes(result, trial)
    ]


def references_document(result: StudyResult, best: TrialRecord) -> list[Document]:
    """Baseline and references, and how the best does against each."""
    return [
        {
            "label": row.label,
            "metrics": dict(row.metrics),
            "cost": row.cost,
            "best_is_better_on": list(row.beaten_on),
            "best_is_worse_on": list(row.lost_on),
            "beaten": row.is_beaten,
            "tie": row.is_tie,
        }
        for row in compare_with_references(result, best)
    ]


def _as_cycles(result: StudyResult, row: LayerChange) -> Document:
    """The keys that the first targets, whose profiles count cycles, gave the cost of a layer."""
    is_cycles = result.profile.cost == "cycles"
    return {
        "cycles_before": row.cost_before if is_cycles else None,
        "cycles_after": row.cost_after if is_cycles else None,
    }


def _bound(result: StudyResult) -> Document | None:
    bound = result.bound
    if bound is None:
        return None
    return {
        "metrics": dict(bound.metrics),
        "notes": list(bound.notes),
        "excess": None if result.gap is None else result.gap.excess,
    }


def _predictions(result: StudyResult) -> Document | None:
    errors = prediction_errors(result)
    if errors is None:
        return None
    return {
        "trials": errors.trials,
        "median_error": errors.median,
        "worst_error": errors.worst,
    }


def _interval(trial: TrialRecord) -> list[float] | None:
    """The interval of a trial's cost; None also where it has no ends, which JSON cannot say."""
    interval = trial.cost_interval
    return None if interval is None or not math.isfinite(interval[1]) else list(interval)


def optional_document(result: StudyResult, trial: TrialRecord | None) -> Document | None:
    """The document of a trial where there is one."""
    return None if trial is None else trial_document(result, trial)


def _failure(result: StudyResult, trial: TrialRecord) -> Document:
    return {
        "trial": trial.number,
        "class": trial.failure,
        "message": trial.message,
        "changes": trial.configuration.difference(result.default),
        "duplicate_of": trial.duplicate_of,
    }
