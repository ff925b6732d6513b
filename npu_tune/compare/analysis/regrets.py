"""Regrets: how far behind the best known each run is, evaluation by evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from npu_tune.compare.analysis.best_known import BestKnown, BestKnownByProblem, split_by_problem
from npu_tune.compare.analysis.scores import sampler_curves
from npu_tune.compare.runs.comparison import ComparisonResult
from npu_tune.compare.runs.recording import ProblemName, ProblemRecord
from npu_tune.pareto import Floats


@dataclass(frozen=True)
class ProblemCurves:
    """The runs on one problem, as arrays of (seeds, evaluations) by sampler.

    The row of a missing run is NaN.

    Args:
        problem: network, target and objective.
        best_known: what regrets count from.
        best: lowest cost so far.
        hypervolume: share of the box so far; empty for an objective of one metric.
        igd_plus: IGD+ so far against the best known front; empty for a weighted objective.
        feasible: share of the evaluations so far that did not fail and keep to the limits.
        regret: ``best / best known - 1`` for a weighted objective, ``1 - hypervolume / best
            known`` for a front; 0 is as good as the best known.
    """

    problem: ProblemRecord
    best_known: BestKnown
    best: Mapping[str, Floats]
    hypervolume: Mapping[str, Floats]
    igd_plus: Mapping[str, Floats]
    feasible: Mapping[str, Floats]
    regret: Mapping[str, Floats]


def problem_curves(
    result: ComparisonResult, table: pd.DataFrame, best_known: BestKnownByProblem
) -> Mapping[ProblemName, ProblemCurves]:
    """Makes the curves of every problem that has runs.

    Args:
        result: the comparison.
        table: its tidy table, ``igd_plus`` included.
        best_known: of each problem.
    """
    recorded, parts = result.recording.by_problem, split_by_problem(table)
    return {name: _curves(result, recorded[name], parts[name], best_known[name]) for name in parts}


def _curves(
    result: ComparisonResult, problem: ProblemRecord, part: pd.DataFrame, best_known: BestKnown
) -> ProblemCurves:
    objective = problem.objective
    best = _curves_by_sampler(result, part, "best")
    has_front = len(objective.weights) > 1
    volumes = _curves_by_sampler(result, part, "hypervolume") if has_front else {}
    if objective.pareto:
        best_volume = best_known.hypervolume or 0.0
        regret = {title: _volume_regret(v, best_volume) for title, v in volumes.items()}
    else:
        regret = {title: _cost_regret(cost, best_known.cost) for title, cost in best.items()}
    so_far = part.groupby(["sampler", "seed"], observed=True)["feasible"].cumsum()
    shares = part.assign(feasible=so_far / part["evaluation"])
    return ProblemCurves(
        problem=problem,
        best_known=best_known,
        best=best,
        hypervolume=volumes,
        igd_plus=_curves_by_sampler(result, part, "igd_plus") if objective.pareto else {},
        feasible=_curves_by_sampler(result, shares, "feasible"),
        regret=regret,
    )


def _curves_by_sampler(
    result: ComparisonResult, part: pd.DataFrame, column: str
) -> dict[str, Floats]:
    """The curves of a column, in the samplers' order in the comparison file."""
    section = result.comparison.compare
    groups = dict(iter(part.groupby("sampler", observed=True)))
    titles = [s.title for s in result.comparison.sampler if s.title in groups]
    return {
        title: sampler_curves(
            groups[title], column, seeds=section.seeds, budget=section.evaluations
        )
        for title in titles
    }


def _cost_regret(cost: Floats, best_known: float) -> Floats:
    if not np.isfinite(best_known):  # no run found anything feasible: all are equal
        return cost
    # Where more of a metric is better, a cost may be 0 or less.
    return (cost - best_known) / (abs(best_known) or 1.0)


def _volume_regret(volume: Floats, best_known: float) -> Floats:
    return 1.0 - volume / best_known if best_known > 0 else volume * 0.0
