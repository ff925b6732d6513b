"""Chooses one trial of a study: the knee of the front, the best in a metric, or by number."""

from __future__ import annotations

import math

from npu_tune.errors import UsageError
from npu_tune.tuning.records import StudyResult, TrialRecord, losses, require_feasible
from npu_tune.validation import closest_hint


def pick_trial(result: StudyResult, how: str) -> TrialRecord:
    """The trial that ``how`` names.

    Args:
        result: the study.
        how: ``knee``, ``best`` (lowest cost), a metric's name (the feasible trial that
            is best in it, by the metric's goal), or a trial's number.

    Raises:
        UsageError: if ``how`` is none of these, or names a trial that failed.
        InfeasibleError: if no trial meets the limits and none is named by its number.
    """
    if how.isdecimal():
        return _by_number(result, int(how))
    metrics = [metric.name for metric in result.metrics]
    if how not in ("knee", "best", *metrics):
        raise UsageError(
            f"There is no pick {how!r}.",
            remedy=f"{closest_hint(how, ['knee', 'best', *metrics])}Take knee, best, one of "
            f"{', '.join(metrics)}, or a trial's number.",
            pick=how,
        )
    best = require_feasible(result)
    if how == "best":
        return best
    if how == "knee":
        return knee(result)
    feasible = [trial for trial in result.distinct if trial.feasible and how in trial.metrics]
    if not feasible:
        raise UsageError(
            f"No trial of the study says its {how}, which is worked out on request.",
            remedy="Pick the best or the knee, or let the study come to its end.",
            pick=how,
        )
    return min(
        feasible,
        key=lambda t: (*losses(t.metrics, {how: 1.0}, result.goals), t.cost or 0.0, t.number),
    )


def knee(result: StudyResult) -> TrialRecord:
    """The trial of the front that lies furthest below the plane through the front's ends.

    Every metric of the objective is scaled so that the front spans 0 to 1; the distance from the
    plane through the single-metric optima is then proportional to 1 minus the sum of the scaled
    metrics (Das, "On characterizing the knee of the Pareto curve", Structural Optimization 18,
    1999). Of equals the one of lower cost, then the earlier one is taken.

    Raises:
        InfeasibleError: if the front is empty.
    """
    require_feasible(result)
    points = {t.number: result.losses(t.metrics) for t in result.front}
    low = [min(column) for column in zip(*points.values(), strict=True)]
    span = [max(column) - min(column) for column in zip(*points.values(), strict=True)]

    def scaled_sum(trial: TrialRecord) -> float:
        axes = zip(points[trial.number], low, span, strict=True)
        return math.fsum((loss - least) / width for loss, least, width in axes if width > 0)

    # Rounded, so that the two ends of a front, both 1, stay equal whatever the last bit says.
    return min(result.front, key=lambda t: (round(scaled_sum(t), 12), t.cost or 0.0, t.number))


def _by_number(result: StudyResult, number: int) -> TrialRecord:
    # Where evaluations differ, a record of all those of a configuration says more than one of them.
    records = (*result.distinct, *result.trials)
    trial = next((trial for trial in records if trial.number == number), None)
    if trial is None:
        raise UsageError(
            f"The study {result.name!r} has no trial {number}.",
            remedy=f"It holds {len(result.trials)} trials; `npu-tune show` lists the front.",
            trial=number,
        )
    if trial.failure is not None:
        raise UsageError(
            f"Trial {number} failed ({trial.failure}): {trial.message}",
            remedy="Pick a trial that was evaluated.",
            trial=number,
            failure=trial.failure,
        )
    return trial
