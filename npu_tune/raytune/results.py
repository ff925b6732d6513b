"""What an experiment of Ray Tune found: the best within limits, the front, configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import InfeasibleError, UsageError
from npu_tune.pareto import nondominated
from npu_tune.raytune.asked import LimitsGiven, objective_of
from npu_tune.space import Configuration, SearchSpace, from_ray_config
from npu_tune.targets import Goal, Target
from npu_tune.tuning.objective import Objective

if TYPE_CHECKING:
    from ray.tune import Result


def best(
    results: Iterable[Result],
    target: Target,
    *,
    metric: str,
    mode: str | None = None,
    limits: LimitsGiven = (),
) -> Result:
    """The best result within the limits, which Ray Tune's ``get_best_result`` knows nothing of.

    Args:
        results: of ``Tuner.fit()``.
        target: they were found on.
        metric: one of the target's.
        mode: as of :func:`.search_algorithm`.
        limits: as of :func:`.search_algorithm`.

    Raises:
        UsageError: if an argument makes no sense, or no trial came to a result.
        InfeasibleError: if no result is within the limits; ``data`` holds the nearest one's metrics.
    """
    objective = objective_of(target.metrics, metric=[metric], mode=mode, limits=limits)
    found = _within(results, objective)
    return found[int(np.argmin(_losses(found, objective)[:, 0]))]


def front(
    results: Iterable[Result],
    target: Target,
    *,
    metric: Sequence[str],
    mode: str | Sequence[str] | None = None,
    limits: LimitsGiven = (),
) -> list[Result]:
    """The results within the limits that no other one beats in every metric, by the first metric.

    The arguments are those of :func:`best`, with several metrics.

    Raises:
        UsageError: if an argument makes no sense, or no trial came to a result.
        InfeasibleError: if no result is within the limits.
    """
    objective = objective_of(target.metrics, metric=metric, mode=mode, limits=limits)
    found = _within(results, objective)
    losses = _losses(found, objective)
    return [found[i] for i in sorted(nondominated(losses), key=lambda i: tuple(losses[i]))]


def configuration_of(space: SearchSpace, result: Result) -> Configuration:
    """The configuration that a trial evaluated, to build or to evaluate it.

    Args:
        space: of the problem.
        result: of the trial.
    """
    return space.effective(from_ray_config(space, result.config or {}))


def _within(results: Iterable[Result], objective: Objective) -> list[Result]:
    usable = [
        each
        for each in results
        if each.error is None and each.metrics and each.metrics.keys() >= set(objective.asked)
    ]
    if not usable:
        raise UsageError(
            "No trial came to a result.", remedy="`results.errors` says what became of them."
        )
    missed = [max(objective.constraints(_metrics(each)).values(), default=0.0) for each in usable]
    within = [each for each, beyond in zip(usable, missed, strict=True) if beyond <= 0]
    if not within:
        nearest = _metrics(usable[int(np.argmin(missed))])
        values = {name: nearest[name] for name in objective.asked}
        raise InfeasibleError(
            f"No trial is within the limits; the nearest one has {values}.",
            remedy="Loosen the limits, or try more configurations.",
            metrics=values,
        )
    return within


def _losses(results: Sequence[Result], objective: Objective) -> np.ndarray[Any, Any]:
    signs = {name: -1.0 if d == Goal.MAXIMIZE else 1.0 for name, d in objective.directions.items()}
    return np.array([[s * _metrics(r)[name] for name, s in signs.items()] for r in results])


def _metrics(result: Result) -> Mapping[str, Any]:
    return result.metrics or {}
