"""What some targets know beyond single evaluations: the optimum, or a bound of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from npu_tune.errors import TargetError
from npu_tune.pareto import Floats, hypervolume
from npu_tune.space import Configuration
from npu_tune.targets.problem import Problem

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """An optimum.

    Args:
        configuration: evaluates to just these metrics.
        metrics: all that the target reports.
    """

    configuration: Configuration
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Front:
    """The Pareto-optimal points of a whole space.

    Args:
        objectives: metrics that are minimised.
        points: one configuration for each point, in rising order of the first objective.
        tolerance: no configuration is better than every point by more than this share of the
            first objective; 0 where the front is exact.
        configurations: how many the space holds, duplicates included.
        notes: what the space was restricted to; beyond it there may be better points.
    """

    objectives: tuple[str, ...]
    points: tuple[FrontPoint, ...]
    tolerance: float
    configurations: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """What no configuration falls below, metric by metric.

    Args:
        metrics: least value by metric name.
        notes: what it holds for.
        front: relaxed optima, with a value of each of these metrics: whatever the weights, no
            configuration has a smaller weighted sum than one of them; empty if none are known.
    """

    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()
    front: tuple[Mapping[str, float], ...] = ()


@runtime_checkable
class Bounded(Protocol):
    """A problem that can tell what no configuration of it falls below."""

    def bound(self, *, base: Configuration | None = None) -> Bound:
        """A lower bound of some metrics.

        Args:
            base: gives the choices of the whole network; the default ones if None. A bound that
                holds for all of them needs none.
        """


@runtime_checkable
class Oracle(Bounded, Protocol):
    """A problem that can tell how good a configuration of it can be at best."""

    def front(
        self,
        *,
        objectives: Sequence[str] = (),
        base: Configuration | None = None,
        tolerance: float = 0.0,
        most_labels: int | None = None,
        progress: Progress | None = None,
    ) -> Front:
        """The optima over all choices of layers, those of the whole network as in ``base``.

        Raises:
            TargetError: if it is out of reach for this network, base or objectives, or takes
                more labels than allowed; a bound is there all the same.
        """

    def bases(self) -> tuple[Configuration, ...]:
        """Configurations, the default first, the fronts over which together hold that of the space.

        Choices of the whole network that gain nothing over another one may be left out.
        """


def require_oracle(problem: Problem) -> Oracle:
    """The problem as an oracle.

    Raises:
        TargetError: if it is none.
    """
    if isinstance(problem, Oracle):
        return problem
    name = problem.target.name
    if isinstance(problem, Bounded):
        raise TargetError(
            f"The target {name!r} knows no exact front of this network, only what nothing falls "
            "below.",
            remedy="Ask for its bound.",
            target=name,
        )
    raise _nothing_known(name)


def require_bounded(problem: Problem) -> Bounded:
    """The problem as one that knows a bound at least.

    Raises:
        TargetError: if it does not.
    """
    if isinstance(problem, Bounded):
        return problem
    raise _nothing_known(problem.target.name)


def _nothing_known(name: str) -> TargetError:
    return TargetError(
        f"The target {name!r} knows no optima: its compiler can only be tried.",
        remedy="Take a target that can tell, or compare studies with each other.",
        target=name,
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """How far an evaluation is from the best there can be.

    Args:
        cost: of the evaluation; the baseline costs 1.
        least_cost: of the optimum, or a bound of it.
        nearest: the optimum of this cost; None where only a bound is known.
    """

    cost: float
    least_cost: float
    nearest: FrontPoint | None

    @property
    def excess(self) -> float:
        """By which share the evaluation is more expensive than the best there can be.

        Negative only where that is an optimum of a restricted space, see :attr:`Front.notes`.
        """
        return self.cost / self.least_cost - 1.0


def gap(
    best: Front | Bound,
    metrics: Mapping[str, float],
    *,
    weights: Mapping[str, float],
    baseline: Mapping[str, float],
) -> Gap:
    """How much more expensive an evaluation is than the best there can be.

    Args:
        best: optima of a space, or a bound.
        metrics: of the evaluation.
        weights: by metric; all are minimised.
        baseline: metrics of what costs 1.

    Raises:
        TargetError: if front or bound say nothing of a metric that has a weight.
    """
    known = best.objectives if isinstance(best, Front) else tuple(best.metrics)
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise TargetError(
            f"Of the metric {unknown[0]!r} the best there can be is not known.",
            remedy=f"Weigh {', '.join(known)} alone.",
            metric=unknown[0],
        )

    def cost(row: Mapping[str, float]) -> float:
        return sum(weight * row[name] / baseline[name] for name, weight in weights.items())

    if isinstance(best, Bound):
        return Gap(cost(metrics), min(map(cost, best.front or (best.metrics,))), None)
    nearest = min(best.points, key=lambda point: cost(point.metrics))
    return Gap(cost(metrics), cost(nearest.metrics), nearest)


_MARGIN = 1.1
"""So that the ends of a front, which are the worst in one metric, count too."""


def hypervolume_share(
    front: Front, evaluations: Iterable[Mapping[str, float]], *, baseline: Mapping[str, float]
) -> float:
    """Hypervolume of evaluations as a share of the front's.

    The reference point lies a tenth above the worst of the baseline and the front, metric by
    metric.

    Args:
        front: the optima.
        evaluations: metrics.
        baseline: metrics.
    """
    reference = {
        name: _MARGIN * max(baseline[name], *(point.metrics[name] for point in front.points))
        for name in front.objectives
    }

    def ratios(rows: Iterable[Mapping[str, float]]) -> Floats:
        table = [[row[name] / reference[name] for name in front.objectives] for row in rows]
        return np.array(table).reshape(-1, len(front.objectives))

    whole = hypervolume(ratios(point.metrics for point in front.points), 1.0)
    return hypervolume(ratios(evaluations), 1.0) / whole
