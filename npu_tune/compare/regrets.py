"""How far behind the best each run is, evaluation by evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from npu_tune.compare.comparing import ComparisonResult
from npu_tune.compare.recording import ProblemName, ProblemRecord
from npu_tune.compare.scores import (
    Floats,
    curves,
    front_ratios,
    hypervolume_share,
    loss_ratios,
)

EXACT = "exact"
PARTLY_EXACT = "partly exact"
BEST_KNOWN = "best known"


@dataclass(frozen=True)
class Reference:
    """What a problem's runs are held against.

    Args:
        source: ``exact`` where the target told its exact front; ``partly exact`` where it told
            that for some choices of the whole network, and all runs stand in for the others;
            else ``best known``: the best of all runs that are compared.
        cost: the lowest; the baseline's is the sum of the weights.
        hypervolume: of the front; None for an objective of one metric.
    """

    source: str
    cost: float
    hypervolume: float | None


@dataclass(frozen=True)
class ProblemCurves:
    """The runs on one problem, as arrays of (seeds, evaluations) by sampler.

    The row of a seed that is not there is NaN.

    Args:
        problem: what they are about.
        reference: what regrets count from.
        best: lowest cost so far.
        hypervolume: share of the box so far; empty for an objective of one metric.
        regret: how far behind the reference: ``best / reference - 1`` for a weighted objective,
            ``1 - hypervolume / reference`` for a front. 0 is as good as the reference.
    """

    problem: ProblemRecord
    reference: Reference
    best: Mapping[str, Floats]
    hypervolume: Mapping[str, Floats]
    regret: Mapping[str, Floats]


def problem_curves(
    result: ComparisonResult, table: pd.DataFrame
) -> Mapping[ProblemName, ProblemCurves]:
    """The curves of every problem that has runs.

    Args:
        result: the comparison.
        table: its tidy table.
    """
    keys = ["network", "target", "objective"]
    parts = table.groupby(keys, observed=True, sort=False)
    by_name = {ProblemName(*map(str, key)): part for key, part in parts}
    recorded = result.recording.by_problem
    return {name: _curves(result, recorded[name], by_name[name]) for name in recorded}


def _curves(result: ComparisonResult, problem: ProblemRecord, part: pd.DataFrame) -> ProblemCurves:
    corner = result.comparison.report.reference_point
    reference = _reference(problem, part, corner)
    best = dict(_by_sampler(result, part, "best"))
    several = len(problem.objective.weights) > 1
    volumes = dict(_by_sampler(result, part, "hypervolume")) if several else {}
    if problem.objective.pareto:
        regret = {
            t: _behind(volume, reference.hypervolume or 0.0) for t, volume in volumes.items()
        }
    else:
        regret = {title: _above(cost, reference.cost) for title, cost in best.items()}
    return ProblemCurves(problem, reference, best, volumes, regret)


def _by_sampler(
    result: ComparisonResult, part: pd.DataFrame, column: str
) -> Iterator[tuple[str, Floats]]:
    section = result.comparison.compare
    groups = dict(iter(part.groupby("sampler", observed=True)))
    for sampler in result.comparison.sampler:
        if sampler.title in groups:
            runs = groups[sampler.title]
            yield (
                sampler.title,
                curves(runs, column, seeds=section.seeds, budget=section.evaluations),
            )


def _above(cost: Floats, reference: float) -> Floats:
    if not np.isfinite(reference):  # nobody found anything feasible: all are equal
        return cost
    # Where more of a metric is better, a cost may be 0 or less.
    return (cost - reference) / (abs(reference) or 1.0)


def _behind(volume: Floats, reference: float) -> Floats:
    return 1.0 - volume / reference if reference > 0 else volume * 0.0


def _reference(problem: ProblemRecord, part: pd.DataFrame, corner: float) -> Reference:
    """From the exact front, or from all runs together."""
    weights = np.array(list(problem.objective.weights.values()))
    source, points = BEST_KNOWN, loss_ratios(problem, part[part["feasible"]])
    if problem.exact is not None:
        exact = front_ratios(problem, problem.exact.points)
        source = EXACT if problem.exact.covered == 1.0 else PARTLY_EXACT
        points = exact if source == EXACT else np.concatenate([exact, points])
    costs = points @ weights
    return Reference(
        source=source,
        cost=float(costs.min()) if len(costs) else np.inf,
        hypervolume=hypervolume_share(points, corner) if points.shape[1] > 1 else None,
    )
