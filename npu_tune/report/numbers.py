"""The digits that the figures of a study bear."""

from __future__ import annotations

import math

from npu_tune.numerals import format_ratio, format_value
from npu_tune.tuning.records import StudyResult, TrialRecord


def error_of(result: StudyResult, trial: TrialRecord, name: str) -> float:
    """Standard error of a trial's metric as a share of it; 0 where evaluations repeat exactly."""
    return result.likely_spread.get(name, 0.0) / math.sqrt(trial.samples)


def cost_error(result: StudyResult, trial: TrialRecord) -> float:
    """The same for its cost: that of the metric that is known least exactly."""
    return max((error_of(result, trial, name) for name in result.objective.weights), default=0.0)


def metric_value(result: StudyResult, trial: TrialRecord, name: str) -> str:
    """A trial's metric with the digits that its spread bears."""
    unit = next((metric.unit for metric in result.metrics if metric.name == name), "")
    return format_value(trial.metrics[name], unit, error=error_of(result, trial, name))


def of_baseline(result: StudyResult, trial: TrialRecord, name: str) -> str:
    """A trial's metric as a share of the baseline's, with the digits that both bear."""
    baseline = result.baseline
    if baseline is None:
        return "-"
    error = math.hypot(error_of(result, trial, name), error_of(result, baseline, name))
    return format_ratio(trial.metrics[name], baseline.metrics.get(name, 0.0), error=error)
