"""How the best trial stands against the baseline and against the target's references."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from npu_tune.tuning.records import StudyResult, TrialRecord, losses
from npu_tune.tuning.samples import noise_between

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Reference:
    """Something to be beaten, and how one trial does against it.

    Args:
        label: ``baseline``, or the label under which the target gives it.
        metrics: its own, by name.
        cost: on the study's scale, where the baseline is 1; None where a metric is missing.
        beaten_on: of :func:`stated_metrics`, those in which the trial is better.
        lost_on: of :func:`stated_metrics`, those in which the trial is worse.
        is_tie: True where evaluations differ and nobody can tell which is better: the cost lies
            within the confidence interval of the trial's, or every metric within the noise. Before
            anything was repeated, noise is what the target expects; if it expects nothing, all
            are ties.
    """

    label: str
    metrics: Mapping[str, float]
    cost: float | None
    beaten_on: tuple[str, ...]
    lost_on: tuple[str, ...]
    is_tie: bool = False

    @property
    def is_beaten(self) -> bool:
        """True where the trial is better in some metric and worse in none."""
        return bool(self.beaten_on) and not self.lost_on and not self.is_tie


def stated_metrics(result: StudyResult) -> tuple[str, ...]:
    """The objective's metrics as vendors state them, by which references are compared.

    A metric that completes what the vendor states is what a search goes by, but a vendor's own
    schedule is compared in the vendor's own metric.
    """
    return tuple(dict.fromkeys(_stated_names(result).values()))


def compare_with_references(result: StudyResult, trial: TrialRecord) -> tuple[Reference, ...]:
    """Compares ``trial`` with the baseline and every reference, in that order."""
    baseline = result.baseline
    rows = {} if baseline is None else {BASELINE: (baseline.metrics, baseline.samples)}
    rows |= {label: (metrics, 1) for label, metrics in result.references.items()}
    return tuple(
        _reference(result, trial, label, metrics, samples)
        for label, (metrics, samples) in rows.items()
    )


def _reference(
    result: StudyResult, trial: TrialRecord, label: str, metrics: Mapping[str, float], samples: int
) -> Reference:
    order = _compare(result, trial, metrics, samples)
    better = tuple(name for name, sign in order.items() if sign < 0)
    worse = tuple(name for name, sign in order.items() if sign > 0)
    cost = _cost(result, metrics)
    is_tie = not result.deterministic and (
        not (better or worse) or _is_within_interval(result, trial, cost)
    )
    return Reference(label, metrics, cost, better, worse, is_tie)


def _is_within_interval(result: StudyResult, trial: TrialRecord, cost: float | None) -> bool:
    """Whether a cost may be the trial's, by its interval; without one where nothing is expected."""
    low, high = trial.cost_interval or (-math.inf, math.inf)
    if math.isfinite(high):
        return cost is not None and low <= cost <= high
    return not all(result.likely_spread.get(name) for name in stated_metrics(result))


def _compare(
    result: StudyResult, trial: TrialRecord, metrics: Mapping[str, float], samples: int
) -> dict[str, int]:
    """By stated metric: -1 where the trial is better, 1 where it is worse, 0 for neither.

    Args:
        result: of the study.
        trial: is compared.
        metrics: it is compared with.
        samples: evaluations that those are means of.
    """
    goals = {**result.goals, **_stated_goals(result)}
    names = {name: 1.0 for name in stated_metrics(result) if name in metrics}
    noise = noise_between(result.likely_spread, trial.samples, samples)
    ours, theirs = losses(trial.metrics, names, goals), losses(metrics, names, goals)
    order = {}
    for name, own, other in zip(names, ours, theirs, strict=True):
        is_noise = abs(own - other) <= noise.get(name, 0.0) * abs(other)
        order[name] = 0 if is_noise else (own > other) - (own < other)
    return order


def _stated_names(result: StudyResult) -> dict[str, str]:
    """By metric of the objective, the one in which vendors state it."""
    stated = {metric.name: metric.stated or metric.name for metric in result.metrics}
    # A target may leave out what it completes.
    return {
        name: stated[name] if stated[name] in stated else name for name in result.objective.weights
    }


def _stated_goals(result: StudyResult) -> dict[str, str]:
    """What vendors state gets better the same way as what completes it."""
    return {stated: result.goals[name] for name, stated in _stated_names(result).items()}


def _cost(result: StudyResult, metrics: Mapping[str, float]) -> float | None:
    if result.baseline is None or any(name not in metrics for name in result.objective.weights):
        return None
    return result.objective.cost(metrics, result.baseline.metrics)
