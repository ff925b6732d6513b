"""The best known cost and front of each problem, from which regrets count.

Written tables call it the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from npu_tune.compare.runs.losses import loss_ratios, point_loss_ratios
from npu_tune.compare.runs.recording import ProblemName, ProblemRecord, Recording
from npu_tune.pareto import Floats, hypervolume, igd_plus_so_far, pareto_front

EXACT = "exact"
PARTLY_EXACT = "partly exact"
BEST_OF_RUNS = "best known"


@dataclass(frozen=True)
class BestKnown:
    """The best known cost and front of a problem.

    Args:
        source: ``exact`` where the target computed the exact front; ``partly exact`` where it did
            so for some network-wide choices only, and all runs stand in for the others; else
            ``best known``: the best of all runs that are compared.
        cost: the lowest; the baseline's is the sum of the weights.
        hypervolume: of the front, as a share of the box; None for an objective of one metric.
        front: of an objective with ``mode = "pareto"``, as multiples of the baseline, of shape
            (points, metrics); else empty.
    """

    source: str
    cost: float
    hypervolume: float | None
    front: Floats = field(repr=False, compare=False)


BestKnownByProblem = Mapping[ProblemName, BestKnown]


def find_best_known(
    recording: Recording, table: pd.DataFrame, *, reference_point: float
) -> BestKnownByProblem:
    """Finds the best known of every problem that has runs.

    Args:
        recording: the runs.
        table: their tidy table.
        reference_point: the corner of hypervolumes, as a multiple of the baseline.
    """
    recorded = recording.by_problem
    return {
        name: _best_known(recorded[name], part, reference_point)
        for name, part in split_by_problem(table).items()
    }


def split_by_problem(table: pd.DataFrame) -> Mapping[ProblemName, pd.DataFrame]:
    """Splits a tidy table into the rows of each problem."""
    groups = table.groupby(["network", "target", "objective"], observed=True, sort=False)
    return {ProblemName(*map(str, key)): part for key, part in groups}


def add_igd_plus(
    table: pd.DataFrame, recording: Recording, best_known: BestKnownByProblem
) -> pd.DataFrame:
    """Adds ``igd_plus``: IGD+ of the front so far against the problem's best known front.

    NaN for weighted objectives, and where no feasible evaluation is known at all.
    """
    values = np.full(len(table), np.nan)
    feasible = table["feasible"].to_numpy()
    start = 0
    for run in recording.runs:
        own, start = slice(start, start + len(run.rows)), start + len(run.rows)
        front = best_known[run.name.problem].front
        if len(front):
            ratios = loss_ratios(recording.by_problem[run.name.problem], run.rows)
            values[own] = igd_plus_so_far(ratios, feasible[own], front)
    return table.assign(igd_plus=values)


def _best_known(problem: ProblemRecord, part: pd.DataFrame, corner: float) -> BestKnown:
    """From the exact front, the problem's rows of the tidy table, or both."""
    weights = np.array(list(problem.objective.weights.values()))
    source, points = BEST_OF_RUNS, loss_ratios(problem, part[part["feasible"]])
    if problem.exact is not None:
        exact = point_loss_ratios(problem, problem.exact.points)
        source = EXACT if problem.exact.covered == 1.0 else PARTLY_EXACT
        points = exact if source == EXACT else np.concatenate([exact, points])
    costs = points @ weights
    axes = points.shape[1]
    return BestKnown(
        source=source,
        cost=float(costs.min()) if len(costs) else np.inf,
        hypervolume=hypervolume(points, corner) if axes > 1 else None,
        front=pareto_front(points) if problem.objective.pareto else np.empty((0, axes)),
    )
