"""How well the costs held that a sampler had predicted."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from npu_tune.tuning.records import StudyResult


@dataclass(frozen=True)
class PredictionErrors:
    """Differences of measured from predicted costs, as shares of what was measured.

    Args:
        trials: number of trials that were predicted and then evaluated.
        median: of the absolute errors.
        worst: the largest absolute error.
    """

    trials: int
    median: float
    worst: float


def prediction_errors(result: StudyResult) -> PredictionErrors | None:
    """Compares every cost that the sampler predicted with what came of it; None without any."""
    errors = [
        abs(trial.predicted - trial.cost) / abs(trial.cost)
        for trial in result.trials
        if trial.predicted is not None and trial.cost and trial.duplicate_of is None
    ]
    return PredictionErrors(len(errors), median(errors), max(errors)) if errors else None


def predictions_line(result: StudyResult) -> str:
    """One sentence about the errors of predictions; empty without any."""
    errors = prediction_errors(result)
    if errors is None:
        return ""
    trials = "1 trial" if errors.trials == 1 else f"{errors.trials} trials"
    return (
        f"Predicted offline, then measured: {trials}, median error {errors.median:.1%}, worst "
        f"{errors.worst:.1%}"
    ).replace("%", " %")
