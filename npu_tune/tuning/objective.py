"""From metrics to what a sampler minimises: values, cost and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from npu_tune.errors import CompilerError, UsageError
from npu_tune.targets import Metric
from npu_tune.tuning.records import relative_violation
from npu_tune.tuning.sections import ObjectiveSection
from npu_tune.validation import known_remedy

MAXIMIZE = "maximize"
MINIMIZE = "minimize"


@dataclass(frozen=True)
class Objective:
    """Which metrics are optimised, in which direction, with which weights and limits.

    Args:
        weights: by metric name, in order.
        directions: ``minimize`` or ``maximize`` for each of them.
        limits: upper bound by metric name.
        pareto: True where the sampler sees one value per metric instead of the cost.
    """

    weights: Mapping[str, float]
    directions: Mapping[str, str]
    limits: Mapping[str, float]
    pareto: bool = False

    @classmethod
    def of(
        cls,
        section: ObjectiveSection,
        limits: Mapping[str, float],
        metrics: tuple[Metric, ...],
    ) -> Objective:
        """The objective a study file asks for, on a target with these metrics.

        Raises:
            UsageError: if it names a metric that the target does not report.
        """
        known = [metric.name for metric in metrics]
        names = section.metrics or tuple(known[:2])
        for key, used in (
            ("objective.metrics", names),
            ("objective.directions", section.directions),
            ("limits", limits),
        ):
            for name in used:
                _require_known(name, known, key)
        stray = next((name for name in section.directions if name not in names), None)
        if stray is not None:
            raise UsageError(
                f"The key 'objective.directions' names {stray!r}, which is not optimised.",
                remedy=f"It takes one of {', '.join(names)}.",
                value=stray,
            )
        return cls(
            weights=dict(
                zip(names, section.weights or [1.0 / len(names)] * len(names), strict=True)
            ),
            directions={name: section.directions.get(name, MINIMIZE) for name in names},
            limits=dict(limits),
            pareto=section.mode == "pareto",
        )

    @property
    def study_directions(self) -> tuple[str, ...]:
        """The directions of the Optuna study."""
        return tuple(self.directions.values()) if self.pareto else (MINIMIZE,)

    def cost(self, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> float:
        """The weighted sum of metric / baseline metric; lower is better.

        A metric of which more is better counts as ``2 - metric / baseline``: as much below 1 as
        it is above its baseline, and finite at zero.
        """
        total = 0.0
        for name, weight in self.weights.items():
            ratio = metrics[name] / baseline[name]
            total += weight * (2.0 - ratio if self.directions[name] == MAXIMIZE else ratio)
        return total

    def values(self, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> list[float]:
        """What the Optuna study is told."""
        if self.pareto:
            return [float(metrics[name]) for name in self.weights]
        return [self.cost(metrics, baseline)]

    def violations(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """By limit, how far the metric is beyond it, in its unit; > 0 means violated."""
        return {name: metrics[name] - bound for name, bound in self.limits.items()}

    def constraints(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The violations as shares of their limits, so that samplers may add them up."""
        return {
            name: relative_violation(beyond, self.limits[name])
            for name, beyond in self.violations(metrics).items()
        }

    def require_usable(self, metrics: Mapping[str, float]) -> None:
        """Sees that an evaluation reports a finite figure for everything that is asked of it.

        A NaN that reaches a model-based sampler spoils all its later proposals.

        Raises:
            EvaluationError: if it does not.
        """
        for name in (*self.weights, *self.limits):
            value = metrics.get(name)
            if value is None or not math.isfinite(value):
                raise CompilerError(f"The metric {name!r} came out as {value}.", metric=name)

    def require_baseline(self, metrics: Mapping[str, float]) -> None:
        """Sees that the baseline's metrics can be divided by.

        Raises:
            EvaluationError: if a metric is missing or not finite.
            UsageError: if a metric of the objective is 0.
        """
        self.require_usable(metrics)
        zero = next((name for name in self.weights if metrics[name] == 0), None)
        if zero is not None:
            raise UsageError(
                f"The metric {zero!r} is 0 at the baseline, so nothing can be weighed against it.",
                remedy="Take it out of 'objective.metrics', or set a limit on it instead.",
                value=zero,
            )


def relative_difference(
    metrics: Mapping[str, float], reference: Mapping[str, float]
) -> dict[str, float]:
    """By metric, how far two evaluations of one configuration lie apart; equal ones are left out.

    A metric that only one of them reports counts as wholly different.
    """
    apart = {}
    for name in reference.keys() | metrics.keys():
        a, b = metrics.get(name), reference.get(name)
        if a is None or b is None:
            apart[name] = 1.0
        elif a != b:
            apart[name] = abs(a - b) / max(abs(a), abs(b))
    return apart


def _require_known(name: str, known: list[str], key: str) -> None:
    if name in known:
        return
    raise UsageError(
        f"The key {key!r} names the metric {name!r}, which the target does not report.",
        remedy=known_remedy(name, known),
        key=key,
        value=name,
    )
