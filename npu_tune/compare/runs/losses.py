"""Metrics of evaluations as losses, and as within limits or not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from npu_tune.compare.runs.recording import Points, ProblemRecord
from npu_tune.pareto import Floats, Mask
from npu_tune.tuning.objective import MAXIMIZE, Objective


def loss_ratios(problem: ProblemRecord, rows: pd.DataFrame) -> Floats:
    """The objective's metrics as multiples of the baseline, less being better: (rows, metrics).

    A metric of which more is better counts as ``2 - metric / baseline``, as in the cost.
    """
    columns = []
    for metric in problem.objective.weights:
        ratio = rows[metric].to_numpy(dtype=float) / problem.baseline[metric]
        is_gain = problem.objective.directions[metric] == MAXIMIZE
        columns.append(2.0 - ratio if is_gain else ratio)
    return np.column_stack(columns)


def point_loss_ratios(problem: ProblemRecord, points: Points) -> Floats:
    """The same for points of the objective's metrics."""
    return loss_ratios(problem, pd.DataFrame(points, columns=[*problem.objective.weights]))


def within_limits(rows: pd.DataFrame, objective: Objective) -> Mask:
    """Mask of the rows whose metrics keep to every limit; a missing metric keeps to none."""
    mask = np.ones(len(rows), dtype=bool)
    for metric, bound in objective.limits.items():
        mask &= rows[metric].to_numpy(dtype=float) <= bound
    for metric, bound in objective.floors.items():
        mask &= rows[metric].to_numpy(dtype=float) >= bound
    return mask
