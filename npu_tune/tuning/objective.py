"""From metrics to what a sampler minimises: values, cost and limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from npu_tune.errors import CompilerError, UsageError
from npu_tune.quantities import Bounds, Quantity
from npu_tune.targets import Goal, Metric, default_objective, goal_of
from npu_tune.tuning.sections import ObjectiveSection
from npu_tune.validation import key_name, key_note, known_remedy, sentence

MAXIMIZE = Goal.MAXIMIZE
MINIMIZE = Goal.MINIMIZE


@dataclass(frozen=True)
class Objective:
    """Which metrics are optimised, in which direction, with which weights and limits.

    Args:
        weights: by metric name, in order.
        directions: ``minimize`` or ``maximize`` for each of them.
        limits: upper bound by metric name.
        pareto: True where the sampler sees one value per metric instead of the cost.
        floors: lower bound by metric name.
    """

    weights: Mapping[str, float]
    directions: Mapping[str, str]
    limits: Mapping[str, float]
    pareto: bool = False
    floors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        section: ObjectiveSection,
        limits: Mapping[str, Bounds],
        metrics: tuple[Metric, ...],
    ) -> Objective:
        """The objective a study file asks for, on a target with these metrics.

        Raises:
            UsageError: if it names a metric that the target does not report, gives one another
                goal than the target says, weighs numbers of different kinds against each other,
                or limits a metric in a unit of something else.
        """
        by_name = {metric.name: metric for metric in metrics}
        names = section.metrics or default_objective(metrics)
        for key, used in (
            ("objective.metrics", names),
            ("objective.directions", section.directions),
            ("limits", limits),
        ):
            for name in used:
                _require_known(name, list(by_name), key)
        _require_one_kind([by_name[name] for name in names])
        most, least = _bounds(limits, by_name)
        return cls(
            weights=dict(
                zip(names, section.weights or [1.0 / len(names)] * len(names), strict=True)
            ),
            directions=_directions(section.directions, [by_name[name] for name in names]),
            limits=most,
            pareto=section.mode == "pareto",
            floors=least,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; lower bounds only where there are any."""
        document: dict[str, Any] = {
            "weights": dict(self.weights),
            "directions": {name: str(goal) for name, goal in self.directions.items()},
            "limits": dict(self.limits),
            "pareto": self.pareto,
        }
        return document | ({"floors": dict(self.floors)} if self.floors else {})

    @property
    def study_directions(self) -> tuple[str, ...]:
        """The directions of the Optuna study."""
        return tuple(self.directions.values()) if self.pareto else (MINIMIZE,)

    @property
    def study_metrics(self) -> tuple[str, ...]:
        """What the Optuna study calls its objectives."""
        return tuple(self.weights) if self.pareto else ("cost",)

    @property
    def asked(self) -> tuple[str, ...]:
        """Every metric that is optimised or limited, each once."""
        return tuple(dict.fromkeys([*self.weights, *self.limits, *self.floors]))

    def cost(self, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> float:
        """The weighted sum of metric / baseline metric; lower is better.

        A metric of which more is better counts as ``2 - metric / baseline``: as much below 1 as
        it is above its baseline, and finite at zero. Of a baseline below zero it is the other way
        round, so that the difference counts as a share of its absolute value.
        """
        total = 0.0
        for name, weight in self.weights.items():
            ratio = metrics[name] / baseline[name]
            is_turned = (self.directions[name] == MAXIMIZE) != (baseline[name] < 0)
            total += weight * (2.0 - ratio if is_turned else ratio)
        return total

    def values(self, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> list[float]:
        """What the Optuna study is told."""
        if self.pareto:
            return [float(metrics[name]) for name in self.weights]
        return [self.cost(metrics, baseline)]

    def violations(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """By limited metric, how far it is beyond its bounds, in its unit; > 0 means violated."""
        return {name: beyond for name, (beyond, _) in self._beyond(metrics).items()}

    def constraints(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The violations as shares of their bounds, so that samplers may add them up."""
        return {name: share for name, (_, share) in self._beyond(metrics).items()}

    def _beyond(self, metrics: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        found: dict[str, tuple[float, float]] = {}
        for bounds, sign in ((self.limits, 1.0), (self.floors, -1.0)):
            for name, bound in bounds.items():
                beyond = sign * (metrics[name] - bound)
                own = (beyond, relative_violation(beyond, bound))
                found[name] = max(found.get(name, own), own)
        return found

    def require_usable(self, metrics: Mapping[str, float]) -> None:
        """Checks that an evaluation reports a finite number for everything that is asked of it.

        A NaN that reaches a model-based sampler spoils all its later proposals.

        Raises:
            EvaluationError: if it does not.
        """
        for name in self.asked:
            value = metrics.get(name)
            if value is None or not math.isfinite(value):
                raise CompilerError(f"The metric {name!r} came out as {value}.", metric=name)

    def require_baseline(self, metrics: Mapping[str, float]) -> None:
        """Checks that the baseline's metrics can be divided by.

        Raises:
            EvaluationError: if a metric is missing or not finite.
            UsageError: if a metric of the objective is 0.
        """
        self.require_usable(metrics)
        zero = next((name for name in self.weights if metrics[name] == 0), None)
        if zero is not None:
            raise UsageError(
                f"The metric {zero!r} is 0 at the baseline, so nothing can be weighed against it.",
                remedy=f"Take it out of {key_name('objective.metrics', 'the objective')}, or set a "
                "limit on it instead.",
                value=zero,
            )


def relative_violation(beyond: float, bound: float) -> float:
    """A violation as a share of its bound; as it is where the bound is 0."""
    return beyond / abs(bound) if bound else beyond


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


def _directions(asked: Mapping[str, str], metrics: Iterable[Metric]) -> dict[str, str]:
    """The goal of each metric: what the target says, else what the study says."""
    metrics = list(metrics)
    names = [metric.name for metric in metrics]
    stray = next((name for name in asked if name not in names), None)
    if stray is not None:
        raise UsageError(
            f"{sentence(key_name('objective.directions'))} names {stray!r}, which is not "
            "optimised.",
            remedy=known_remedy(stray, names),
            value=stray,
        )
    for metric in metrics:
        given = asked.get(metric.name)
        if given is not None and metric.goal is not None and given != metric.goal:
            raise UsageError(
                f"{sentence(key_name('objective.directions'))} asks to {given} {metric.name!r}, "
                "and the target says that it gets better the other way.",
                remedy="Leave it out.",
                value=metric.name,
            )
    return {metric.name: asked.get(metric.name, str(goal_of(metric))) for metric in metrics}


def _require_one_kind(metrics: list[Metric]) -> None:
    first = metrics[0]
    other = next((metric for metric in metrics if metric.kind != first.kind), None)
    if other is not None:
        raise UsageError(
            f"{sentence(key_name('objective.metrics', 'the objective'))} weighs {first.name!r}, which is {first.kind}, against {other.name!r}, "
            f"which is {other.kind}: their errors have nothing in common, so that a gain in one "
            "may be none.",
            remedy="Optimise one of them, and set a limit on the other.",
            value=other.name,
        )


def _bounds(
    limits: Mapping[str, Bounds], metrics: Mapping[str, Metric]
) -> tuple[dict[str, float], dict[str, float]]:
    """Upper and lower bounds in the units of the metrics."""
    most, least = {}, {}
    for name, bounds in limits.items():
        unit = metrics[name].unit
        if bounds.most is not None:
            most[name] = _in_unit(bounds.most, unit, name)
        if bounds.least is not None:
            least[name] = _in_unit(bounds.least, unit, name)
        if name in most and name in least and least[name] > most[name]:
            raise UsageError(
                f"The limits of {name!r}{key_note('limits')} exclude each other: at most {most[name]:g} and at least "
                f"{least[name]:g}.",
                remedy="Correct one of them.",
                value=name,
            )
    return most, least


def _in_unit(bound: Quantity, unit: str, name: str) -> float:
    try:
        return bound.in_unit(unit, metric=name)
    except UsageError as error:
        told = f"{sentence(key_name('limits'))}: {error.message}"
        raise UsageError(told, remedy=error.remedy, **error.data) from error


def _require_known(name: str, known: list[str], key: str) -> None:
    if name not in known:
        raise UsageError(
            f"{sentence(key_name(key))} names the metric {name!r}, which the target does not "
            "report.",
            remedy=known_remedy(name, known),
            key=key,
            value=name,
        )
