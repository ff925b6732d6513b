"""How the best trial stands against the baseline and against the vendor's other defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from npu_tune.tuning.objective import MINIMIZE, Objective
from npu_tune.tuning.records import StudyResult, TrialRecord, losses

BASELINE = "baseline"

FULL = "full_"
"""A metric ``full_x`` is the vendor's own figure ``x`` and what his estimate leaves out."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A figure to be beaten, and how one trial does against it.

    Args:
        label: ``baseline``, or the reference's label.
        metrics: its own figures.
        cost: on the study's scale, where the baseline is 1; None where a figure is missing.
        beaten_on: of :func:`stated_metrics`, those in which the trial is strictly better.
        lost_on: of :func:`stated_metrics`, those in which the trial is strictly worse.
    """

    label: str
    metrics: Mapping[str, float]
    cost: float | None
    beaten_on: tuple[str, ...]
    lost_on: tuple[str, ...]

    @property
    def is_beaten(self) -> bool:
        """True where the trial is better in some metric and worse in none."""
        return bool(self.beaten_on) and not self.lost_on


def stated_metrics(result: StudyResult) -> tuple[str, ...]:
    """The objective's metrics as the vendor states them, by which yardsticks are compared.

    ``full_cycles`` is searched by, but what a vendor's schedule is held against is the vendor's
    own figure for both, ``cycles``.
    """
    known = {metric.name for metric in result.metrics}
    stated = (name.removeprefix(FULL) for name in result.objective)
    names = (
        own if own in known else full for own, full in zip(stated, result.objective, strict=True)
    )
    return tuple(dict.fromkeys(names))


def compare_with_yardsticks(result: StudyResult, trial: TrialRecord) -> tuple[Yardstick, ...]:
    """Holds ``trial`` against the baseline and every reference, in that order."""
    baseline = {} if result.baseline is None else {BASELINE: result.baseline.metrics}
    return tuple(
        _yardstick(result, trial, label, metrics)
        for label, metrics in {**baseline, **result.references}.items()
    )


def _yardstick(
    result: StudyResult, trial: TrialRecord, label: str, metrics: Mapping[str, float]
) -> Yardstick:
    names = [name for name in stated_metrics(result) if name in metrics]
    directions = {name.removeprefix(FULL): way for name, way in result.directions.items()}
    directions |= result.directions
    pairs = zip(
        names,
        losses(trial.metrics, dict.fromkeys(names, 1.0), directions),
        losses(metrics, dict.fromkeys(names, 1.0), directions),
        strict=True,
    )
    order = {name: (ours > theirs) - (ours < theirs) for name, ours, theirs in pairs}
    return Yardstick(
        label=label,
        metrics=metrics,
        cost=_cost(result, metrics),
        beaten_on=tuple(name for name in names if order[name] < 0),
        lost_on=tuple(name for name in names if order[name] > 0),
    )


def _cost(result: StudyResult, metrics: Mapping[str, float]) -> float | None:
    if result.baseline is None or any(name not in metrics for name in result.objective):
        return None
    objective = Objective(
        weights=result.objective,
        directions={n: result.directions.get(n, MINIMIZE) for n in result.objective},
        limits=result.limits,
    )
    return objective.cost(metrics, result.baseline.metrics)
