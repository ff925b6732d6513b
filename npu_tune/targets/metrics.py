"""What a target reports of a configuration: metrics, a profile per layer, notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Kind(StrEnum):
    """Where a number comes from; numbers of different kinds are never compared."""

    ESTIMATED = "estimated"
    SIMULATED = "simulated"
    MEASURED = "measured"


class Goal(StrEnum):
    """Which way a metric gets better; the words are Optuna's directions."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a target reports for every configuration.

    Args:
        name: with its unit where it has one, such as ``latency_ms``.
        unit: for tables and plots; "" for ratios.
        kind: estimated, simulated or measured.
        description: one line for people.
        goal: which way it gets better; None where the target does not say. It is then minimised
            unless a study says otherwise.
        objective: True where it is optimised by default. Of a target that marks none, the first
            two metrics are.
        spread: relative standard deviation of one evaluation that the target expects before it
            has measured anything; 0 where evaluations repeat exactly.
        stated: name of the metric in which vendors state what this one completes, such as the
            vendor's own cycle count; references are compared in that one. None where it is the
            same.
        on_request: True where an evaluation takes much longer for it. A search leaves it out
            where neither objective nor limits need it, and fills it in for what is shown.
    """

    name: str
    unit: str
    kind: Kind
    description: str = ""
    goal: Goal | None = None
    objective: bool = False
    spread: float = 0.0
    stated: str | None = None
    on_request: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what stands at its default is left out beyond the description.

        A study or recording that says nothing new is so written as it always was.
        """
        document: dict[str, Any] = {
            "name": self.name,
            "unit": self.unit,
            "kind": str(self.kind),
            "description": self.description,
        }
        for each in dataclasses.fields(self)[len(document) :]:
            value = getattr(self, each.name)
            if value != each.default:
                document[each.name] = value
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Metric:
        """The reverse of :meth:`to_dict`."""
        goal = document.get("goal")
        return cls(
            **{
                **document,
                "kind": Kind(document["kind"]),
                "goal": None if goal is None else Goal(goal),
            }
        )


def default_objective(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """Names of the metrics that are optimised where nobody says which."""
    every = tuple(metrics)
    marked = tuple(metric.name for metric in every if metric.objective)
    return marked or tuple(metric.name for metric in every[:2])


def missing_metrics(metrics: Iterable[Metric], reported: Collection[str]) -> tuple[str, ...]:
    """Names of the metrics on request that an evaluation has left out.

    Args:
        metrics: of the target.
        reported: names of those that the evaluation has.
    """
    return tuple(m.name for m in metrics if m.on_request and m.name not in reported)


def goal_of(metric: Metric) -> Goal:
    """The goal of a metric; to minimise where its target does not say."""
    return metric.goal or Goal.MINIMIZE


@dataclass(frozen=True, slots=True)
class ProfileSchema:
    """What the columns of a profile mean.

    Args:
        cost: column that says what a layer costs; its values add up to about the total.
        unit: of that column, such as ``cycles``.
        group: column with the same number in neighbouring rows that ran together as one; None
            where a profile has no such column.
        causes: what one part of the hardware has in a layer's cost: the part as a person calls it,
            such as ``flash``, by column. The largest bounds the layer; see
            :func:`npu_tune.targets.bounding_cause`. Empty where a profile has no such columns.
    """

    cost: str = "cycles"
    unit: str = "cycles"
    group: str | None = None
    causes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one configuration costs.

    Args:
        metrics: value by metric name.
        profile: per layer, in execution order: layer name to value by column name; see
            :class:`ProfileSchema`.
        notes: what a person should know, such as operators that stayed on the CPU.
        spread: relative standard deviation by metric name, as found while measuring this
            configuration; empty where evaluations repeat exactly.
    """

    metrics: Mapping[str, float]
    profile: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    spread: Mapping[str, float] = field(default_factory=dict)

    def to_dataframe(self) -> pd.DataFrame:
        """The profile: one row per layer, in execution order."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        return pd.DataFrame.from_dict(dict(self.profile), orient="index").rename_axis("layer")
