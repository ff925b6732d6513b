"""Evaluations that differ: means, confidence intervals and nearby references.

Where a problem is not deterministic, a configuration is evaluated several times. Every evaluation
is a trial of its own; what is said of the configuration is said of all its trials together.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, stdev

from npu_tune.errors import NpuTuneWarning
from npu_tune.space import Configuration
from npu_tune.targets import Metric
from npu_tune.tuning.objective import Objective, relative_difference
from npu_tune.tuning.trial import (
    CONFIRMATION,
    TrialRecord,
    is_reference,
)

CONFIDENCE = 0.99
"""Of every interval that is stated. At 95 %, one study in twenty would be wrong by design."""

REFERENCES = 5
"""Evaluations of the baseline that a cost is taken against: fewer carry more of their own noise
into every cost, more reach further back than a machine keeps its speed."""

LEAST_DEGREES = 3
"""Below, a scatter says so little that an interval made of it would be a guess."""

BEYOND_NOISE = 4.0
"""Standard deviations that two evaluations of a configuration may lie apart by chance: on average
once in 16,000 comparisons."""


class NearbyReference:
    """The mean of the latest evaluations of the baseline, which costs are taken against.

    A machine that gets slower makes the baseline slower too: a cost relative to what the
    baseline took shortly before keeps its meaning over a long study. Where evaluations do not
    differ it is the first one.

    Args:
        deterministic: True where evaluations do not differ.

    Attributes:
        metrics: mean by metric name; None before the first evaluation.
    """

    def __init__(self, *, deterministic: bool) -> None:
        self._deterministic = deterministic
        self._latest: deque[Mapping[str, float]] = deque(maxlen=REFERENCES)
        self.metrics: Mapping[str, float] | None = None

    def learn(self, trial: TrialRecord) -> None:
        """Takes in a trial, if it is an evaluation of the baseline that succeeded."""
        if trial.metrics and is_reference(trial) and not (self._deterministic and self._latest):
            self._latest.append(trial.metrics)
            self.metrics = mean_metrics(self._latest)


def mean_metrics(rows: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """The mean of each metric that all rows have."""
    every = list(rows)
    if len(every) == 1:
        return every[0]
    names = [name for name in every[0] if all(name in row for row in every)]
    return {name: fmean(row[name] for row in every) for name in names}


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t distribution.

    By the expansion in powers of 1 / degrees of Abramowitz and Stegun, "Handbook of Mathematical
    Functions", 26.7.5; for 99 % it is right to 0.1 % from five degrees of freedom on.

    Args:
        degrees: of freedom, at least 1.
        confidence: probability mass between minus and plus the quantile.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, start=1))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a configuration's true cost.

    Args:
        cost: the estimate.
        low: lower end of the confidence interval.
        high: upper end.
    """

    cost: float
    low: float
    high: float


def merge_repeats(trials: Sequence[TrialRecord], objective: Objective) -> tuple[TrialRecord, ...]:
    """One record per configuration, with mean metrics and the interval of its cost.

    A configuration that was confirmed is described by those evaluations alone: it was chosen
    because earlier ones looked good, so that these say too much good of it.

    Args:
        trials: of a study, in order.
        objective: of the study.
    """
    groups = _by_configuration(trials)
    scatter = cost_scatter(groups)
    merged = (_merged(group, trials, objective, scatter) for group in groups)
    return tuple(sorted(merged, key=lambda trial: trial.number))


def _by_configuration(trials: Iterable[TrialRecord]) -> Collection[list[TrialRecord]]:
    """The evaluations that succeeded, those of one configuration together."""
    groups: dict[Configuration, list[TrialRecord]] = {}
    for trial in trials:
        if trial.failure is None and trial.duplicate_of is None:
            groups.setdefault(trial.configuration, []).append(trial)
    return groups.values()


def cost_scatter(groups: Iterable[Sequence[TrialRecord]]) -> tuple[float, int]:
    """Standard deviation of a single cost, pooled over configurations, and its degrees of freedom."""
    squares, degrees = 0.0, 0
    for group in groups:
        costs = [trial.cost for trial in group if trial.cost is not None]
        if len(costs) > 1:
            squares += stdev(costs) ** 2 * (len(costs) - 1)
            degrees += len(costs) - 1
    return (math.sqrt(squares / degrees) if degrees else math.nan), degrees


def metric_spread(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Relative standard deviation of one evaluation by metric, pooled over configurations."""
    squares: dict[str, float] = {}
    degrees: dict[str, int] = {}
    for group in _by_configuration(trials):
        for name in group[0].metrics:
            values = [t.metrics[name] for t in group if name in t.metrics]
            mean = fmean(values) if values else 0.0
            if len(values) > 1 and mean:
                share = (stdev(values) / mean) ** 2 * (len(values) - 1)
                squares[name] = squares.get(name, 0.0) + share
                degrees[name] = degrees.get(name, 0) + len(values) - 1
    return {name: math.sqrt(total / degrees[name]) for name, total in squares.items()}


def likely_spread(metrics: Iterable[Metric], found: Mapping[str, float]) -> dict[str, float]:
    """What the target expects of each metric, or what was found where that is more.

    A few repeats may agree by chance.

    Args:
        metrics: of the target.
        found: relative standard deviation by metric, see :func:`metric_spread`.
    """
    return {each.name: max(each.spread, found.get(each.name, 0.0)) for each in metrics}


def _merged(
    group: Sequence[TrialRecord],
    trials: Sequence[TrialRecord],
    objective: Objective,
    scatter: tuple[float, int],
) -> TrialRecord:
    confirmed = [trial for trial in group if trial.origin == CONFIRMATION]
    used = confirmed or group
    metrics = mean_metrics(trial.metrics for trial in used)
    estimate = (
        _confirmed_estimate(confirmed, trials, objective)
        if len(confirmed) > 1
        else _pooled_estimate(used, scatter)
    )
    return replace(
        group[0],
        metrics=metrics,
        cost=estimate.cost,
        violations=objective.violations(metrics),
        cost_interval=(estimate.low, estimate.high),
        samples=len(used),
        confirmed=bool(confirmed),
    )


def _confirmed_estimate(
    confirmed: Sequence[TrialRecord], trials: Sequence[TrialRecord], objective: Objective
) -> Estimate:
    """From pairs of the configuration and the baseline that were evaluated beside each other."""
    references = [t for t in trials if is_reference(t) and t.failure is None]
    pairs = [
        (trial, min(references, key=lambda r: abs(r.number - trial.number))) for trial in confirmed
    ]
    costs = [objective.cost(ours.metrics, theirs.metrics) for ours, theirs in pairs]
    beside = {theirs.number: theirs.metrics for _, theirs in pairs}
    # Of the means: the mean of ratios would be too high by the square of the noise.
    cost = objective.cost(
        mean_metrics(trial.metrics for trial in confirmed), mean_metrics(beside.values())
    )
    half = t_quantile(len(costs) - 1) * stdev(costs) / math.sqrt(len(costs))
    return Estimate(cost, cost - half, cost + half)


def _pooled_estimate(used: Sequence[TrialRecord], scatter: tuple[float, int]) -> Estimate:
    """From the scatter of all repeated configurations, where there is any yet."""
    cost = fmean(trial.cost for trial in used if trial.cost is not None)
    deviation, degrees = scatter
    half = math.inf
    if degrees >= LEAST_DEGREES:
        half = t_quantile(degrees) * deviation / math.sqrt(len(used))
    return Estimate(cost, cost - half, cost + half)


def noise_between(spread: Mapping[str, float], ours: int, theirs: int) -> dict[str, float]:
    """By metric, the relative difference of two means that may be chance, at 99 % confidence.

    Args:
        spread: relative standard deviation of one evaluation.
        ours: evaluations that one mean is of.
        theirs: evaluations that the other mean is of.
    """
    factor = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(1 / ours + 1 / theirs)
    return {name: factor * share for name, share in spread.items()}


def differences_beyond_noise(
    metrics: Mapping[str, float],
    reference: Mapping[str, float],
    *,
    spread: Mapping[str, float],
) -> dict[str, float]:
    """By metric, how far two evaluations of one configuration lie apart, where it is no chance.

    Args:
        metrics: of one.
        reference: of the other.
        spread: relative standard deviation of one evaluation; a metric that it does not name
            repeats exactly.
    """
    apart = relative_difference(metrics, reference)
    return {name: by for name, by in apart.items() if by > BEYOND_NOISE * spread.get(name, 0.0)}


def warn_of_drift(
    metrics: Mapping[str, float], baseline: Mapping[str, float], *, spread: Mapping[str, float]
) -> None:
    """Warns where the baseline, evaluated once more, has other metrics than before.

    Args:
        metrics: of the last evaluation.
        baseline: what others were weighed against.
        spread: relative standard deviation of one evaluation; empty where they do not differ.
    """
    moved = differences_beyond_noise(metrics, baseline, spread=spread)
    if moved:
        name = max(moved, key=lambda n: moved[n])
        warnings.warn(
            f"The baseline evaluated again differs from the first time, most in {name!r} by "
            f"{moved[name]:.2%}: the metrics of this study are not exact to that extent.",
            NpuTuneWarning,
            stacklevel=2,
        )
