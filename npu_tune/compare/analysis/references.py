"""What the runs on a problem are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from npu_tune.compare.analysis.scores import front_ratios, loss_ratios
from npu_tune.compare.runs.recording import ProblemName, ProblemRecord, Recording
from npu_tune.pareto import Floats, front_of, hypervolume_share, igd_plus_so_far

EXACT = "exact"
PARTLY_EXACT = "partly exact"
BEST_KNOWN = "best known"


@dataclass(frozen=True)
class Reference:
    """The best that is known of a problem.

    Args:
        source: ``exact`` where the target told its exact front; ``partly exact`` where it told
            that for some choices of the whole network, and all runs stand in for the others;
            else ``best known``: the best of all runs that are compared.
        cost: the lowest; the baseline's is the sum of the weights.
        hypervolume: of the front; None for an objective of one metric.
        front: of an objective with ``mode = "pareto"``, as multiples of the baseline, of shape
            (points, metrics); else empty.
    """

    source: str
    cost: float
    hypervolume: float | None
    front: Floats = field(repr=False, compare=False)


References = Mapping[ProblemName, Reference]


def problem_references(
    recording: Recording, table: pd.DataFrame, *, reference_point: float
) -> References:
    """The reference of every problem that has runs.

    Args:
        recording: the runs.
        table: their tidy table.
        reference_point: the corner of hypervolumes, as a multiple of the baseline.
    """
    recorded = recording.by_problem
    return {
        name: _reference(recorded[name], part, reference_point)
        for name, part in by_problem(table).items()
    }


def by_problem(table: pd.DataFrame) -> Mapping[ProblemName, pd.DataFrame]:
    """The rows of each problem."""
    groups = table.groupby(["network", "target", "objective"], observed=True, sort=False)
    return {ProblemName(*map(str, key)): part for key, part in groups}


def with_igd_plus(
    table: pd.DataFrame, recording: Recording, references: References
) -> pd.DataFrame:
    """Adds ``igd_plus``: of the front so far, against the reference front of the problem.

    NaN for weighted objectives, and where nothing feasible is known at all.
    """
    values = np.full(len(table), np.nan)
    feasible = table["feasible"].to_numpy()
    start = 0
    for run in recording.runs:
        own, start = slice(start, start + len(run.rows)), start + len(run.rows)
        front = references[run.name.problem].front
        if len(front):
            ratios = loss_ratios(recording.by_problem[run.name.problem], run.rows)
            values[own] = igd_plus_so_far(ratios, feasible[own], front)
    return table.assign(igd_plus=values)


def _reference(problem: ProblemRecord, part: pd.DataFrame, corner: float) -> Reference:
    """From the exact front, or from all runs together."""
    weights = np.array(list(problem.objective.weights.values()))
    source, points = BEST_KNOWN, loss_ratios(problem, part[part["feasible"]])
    if problem.exact is not None:
        exact = front_ratios(problem, problem.exact.points)
        source = EXACT if problem.exact.covered == 1.0 else PARTLY_EXACT
        points = exact if source == EXACT else np.concatenate([exact, points])
    costs = points @ weights
    axes = points.shape[1]
    front = front_of(points) if axes > 1 else np.empty((0, axes))
    return Reference(
        source=source,
        cost=float(costs.min()) if len(costs) else np.inf,
        hypervolume=hypervolume_share(front, corner) if axes > 1 else None,
        front=front if problem.objective.pareto else np.empty((0, axes)),
    )
