"""How far behind the best each run is, evaluation by evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from npu_tune.compare.analysis.references import Reference, References, by_problem
from npu_tune.compare.analysis.scores import curves
from npu_tune.compare.runs.comparison import ComparisonResult
from npu_tune.compare.runs.recording import ProblemName, ProblemRecord
from npu_tune.pareto import Floats


@dataclass(frozen=True)
class ProblemCurves:
    """The runs on one problem, as arrays of (seeds, evaluations) by sampler.

    The row of a seed that is not there is NaN.

    Args:
        problem: what they are about.
        reference: what regrets count from.
        best: lowest cost so far.
        hypervolume: share of the box so far; empty for an objective of one metric.
        igd_plus: IGD+ so far against the reference front; empty for a weighted objective.
        feasible: share of the evaluations so far that did not fail and keep to the limits.
        regret: how far behind the reference: ``best / reference - 1`` for a weighted objective,
            ``1 - hypervolume / reference`` for a front. 0 is as good as the reference.
    """

    problem: ProblemRecord
    reference: Reference
    best: Mapping[str, Floats]
    hypervolume: Mapping[str, Floats]
    igd_plus: Mapping[str, Floats]
    feasible: Mapping[str, Floats]
    regret: Mapping[str, Floats]


def problem_curves(
    result: ComparisonResult, table: pd.DataFrame, references: References
) -> Mapping[ProblemName, ProblemCurves]:
    """The curves of every problem that has runs.

    Args:
        result: the comparison.
        table: its tidy table, ``igd_plus`` included.
        references: what each problem's runs are held against.
    """
    recorded, parts = result.recording.by_problem, by_problem(table)
    return {name: _curves(result, recorded[name], parts[name], references[name]) for name in parts}


def _curves(
    result: ComparisonResult, problem: ProblemRecord, part: pd.DataFrame, reference: Reference
) -> ProblemCurves:
    objective = problem.objective
    best = dict(_by_sampler(result, part, "best"))
    several = len(objective.weights) > 1
    volumes = dict(_by_sampler(result, part, "hypervolume")) if several else {}
    if objective.pareto:
        regret = {
            t: _behind(volume, reference.hypervolume or 0.0) for t, volume in volumes.items()
        }
    else:
        regret = {title: _above(cost, reference.cost) for title, cost in best.items()}
    so_far = part.groupby(["sampler", "seed"], observed=True)["feasible"].cumsum()
    shares = part.assign(feasible=so_far / part["evaluation"])
    return ProblemCurves(
        problem=problem,
        reference=reference,
        best=best,
        hypervolume=volumes,
        igd_plus=dict(_by_sampler(result, part, "igd_plus")) if objective.pareto else {},
        feasible=dict(_by_sampler(result, shares, "feasible")),
        regret=regret,
    )


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
