"""How good the best there can be is, and how far a study is from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from npu_tune.numerals import format_value
from npu_tune.report.documents import Document
from npu_tune.report.tables import filled, table
from npu_tune.space import Configuration
from npu_tune.targets import Metric
from npu_tune.targets.oracle import Bound, Front, Gap
from npu_tune.tuning.records import StudyResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands against the best there can be.

    Args:
        study: its name.
        trial: number of its best trial.
        gap: of that trial.
        hypervolume_share: of the volume that the front dominates, what the study's trials reach;
            None where only a bound is known.
        front_cost: least cost on the front, where the trial is below it because it has choices that
            the front leaves out, so that its gap is that to the bound; None elsewhere.
    """

    study: str
    trial: int
    gap: Gap
    hypervolume_share: float | None
    front_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Optimum:
    """What is known of the best there can be.

    Args:
        metrics: the target's.
        default: configuration against which changes are shown.
        front: the optima, None where they are out of reach.
        bound: what nothing falls below.
        reason: why there is no front; "" where there is one.
        standing: of a study.
    """

    metrics: tuple[Metric, ...]
    default: Configuration
    front: Front | None
    bound: Bound
    reason: str = ""
    standing: Standing | None = None

    def to_dataframe(self) -> pd.DataFrame:
        """One row per point of the front: its metrics, and its changes from the default.

        Where there is no front, the relaxed optima of the bound, which have no configurations.
        """
        import pandas as pd  # noqa: PLC0415 - slow to import

        if self.front is None:
            return pd.DataFrame([dict(point) for point in self.bound.front])
        return pd.DataFrame(
            [
                {**point.metrics, "changes": point.configuration.difference(self.default)}
                for point in self.front.points
            ]
        )


def bound_cells(result: StudyResult, name: str) -> tuple[str, ...]:
    """How far the best trial is above the bound, for the column that says so, if there is one.

    Args:
        result: of a study.
        name: of a metric, or ``cost``.
    """
    best, bound, gap = result.best, result.bound, result.gap
    if gap is None or best is None or bound is None:
        return ()
    if name == "cost":
        return (f"{gap.excess:.1%}",)
    least = bound.metrics.get(name)
    return (f"{best.metrics[name] / least - 1.0:.1%}" if least else "-",)


def optimum_text(optimum: Optimum) -> str:
    """The front or the bound for people, and where a study stands."""
    front = optimum.front
    parts = [_front_text(optimum, front) if front else _bound_text(optimum)]
    parts += map(filled, front.notes if front else optimum.bound.notes)
    if optimum.standing is not None:
        parts.append(filled(_standing_text(optimum.standing, front)))
    return "\n\n".join(parts)


def optimum_document(optimum: Optimum) -> Document:
    """The keys of the JSON document, without model and target."""
    front, standing = optimum.front, optimum.standing
    return {
        "kind": "bound" if front is None else "within tolerance" if front.tolerance else "exact",
        "reason": optimum.reason,
        "front": None if front is None else _front_document(front, optimum.default),
        "bound": {
            "metrics": dict(optimum.bound.metrics),
            "notes": list(optimum.bound.notes),
            "front": [dict(point) for point in optimum.bound.front],
        },
        "standing": None
        if standing is None
        else {
            "study": standing.study,
            "trial": standing.trial,
            "cost": standing.gap.cost,
            "least_cost": standing.gap.least_cost,
            "excess": standing.gap.excess,
            "nearest": None
            if standing.gap.nearest is None
            else dict(standing.gap.nearest.metrics),
            "hypervolume_share": standing.hypervolume_share,
            "front_cost": standing.front_cost,
        },
    }


def _front_text(optimum: Optimum, front: Front) -> str:
    units = _units(optimum)
    rows = [
        [
            str(number),
            *(format_value(point.metrics[name], units.get(name, "")) for name in front.objectives),
        ]
        for number, point in enumerate(front.points)
    ]
    digits = len(str(front.configurations)) - 1
    kind = f"within {front.tolerance:.2%}" if front.tolerance else "exact"
    return (
        f"Front ({kind}; {len(front.points)} points, of about 10^{digits} configurations)\n"
        + table(["point", *front.objectives], rows)
    )


def _bound_text(optimum: Optimum) -> str:
    units = _units(optimum)
    rows = [
        [name, format_value(value, units.get(name, ""))]
        for name, value in optimum.bound.metrics.items()
    ]
    return (
        filled(f"Bound, not a front: {optimum.reason}") + "\n"
        "No configuration falls below these values, each by itself:\n"
        + table(["metric", "at least"], rows)
    )


def _units(optimum: Optimum) -> dict[str, str]:
    return {metric.name: metric.unit for metric in optimum.metrics}


def _standing_text(standing: Standing, front: Front | None) -> str:
    found = standing.gap
    text = f"Study {standing.study}: the cost of its best trial ({standing.trial}) is {found.cost:.4f}"
    if standing.front_cost is not None:
        less = 1 - found.cost / standing.front_cost
        text += (
            f", {less:.2%} below the front ({standing.front_cost:.4f}): it has choices that the front "
            f"leaves out. That is"
        )
    else:
        text += ","
    is_bound = front is None or standing.front_cost is not None
    against = "the bound: an optimum may lie anywhere between" if is_bound else "the optimum"
    text += f" {found.excess:.2%} above {against} ({found.least_cost:.4f})."
    if standing.hypervolume_share is None:
        return text
    return (
        f"{text}\nIts trials reach {standing.hypervolume_share:.2%} of the volume that the front "
        "dominates."
    )


def _front_document(front: Front, default: Configuration) -> Document:
    return {
        "objectives": list(front.objectives),
        "tolerance": front.tolerance,
        "configurations": float(front.configurations),
        "notes": list(front.notes),
        "points": [
            {
                "metrics": dict(point.metrics),
                "configuration": dict(point.configuration),
                "changes": point.configuration.difference(default),
            }
            for point in front.points
        ],
    }
