"""From recorded metrics to costs, best so far and hypervolumes: the tidy table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from npu_tune.compare.runs.losses import loss_ratios, within_limits
from npu_tune.compare.runs.recording import ProblemRecord, Recording, RunRecord
from npu_tune.pareto import Floats, hypervolume_so_far


def tidy_table(recording: Recording, *, reference_point: float) -> pd.DataFrame:
    """Makes the table of all evaluations, a row each, with everything that follows from metrics.

    Columns: ``network``, ``target``, ``objective``, ``sampler``, ``seed``, ``evaluation`` (from
    1), the metrics, ``cost``, ``feasible``, ``failure``, ``cached``, ``best`` (the lowest cost
    of a feasible evaluation so far) and ``hypervolume`` (of the front so far, as a share of the
    box up to the reference point; NaN for an objective of one metric).

    Args:
        recording: the runs.
        reference_point: the corner of hypervolumes, as a multiple of the baseline.
    """
    frames = [
        _run_table(run, recording.by_problem[run.name.problem], reference_point)
        for run in recording.runs
    ]
    table = pd.concat(frames, ignore_index=True)
    run_of_row = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    # Labels are put in all at once: run by run, they would take longer than all the rest.
    labels = {
        "network": [run.name.problem.network for run in recording.runs],
        "target": [run.name.problem.target for run in recording.runs],
        "objective": [run.name.problem.objective for run in recording.runs],
        "sampler": [run.name.sampler for run in recording.runs],
    }
    named = {name: pd.Categorical(values).take(run_of_row) for name, values in labels.items()}
    seeds = np.array([run.name.seed for run in recording.runs])[run_of_row]
    table = table.assign(**named, seed=seeds, failure=table["failure"].astype("category"))
    first = [*labels, "seed", "evaluation"]
    last = ["cost", "feasible", "failure", "cached", "best", "hypervolume"]
    metrics = [column for column in table if column not in first + last]
    return table[first + metrics + last]


def _run_table(run: RunRecord, problem: ProblemRecord, reference_point: float) -> pd.DataFrame:
    """The columns of one run but the labels."""
    rows, objective = run.rows, problem.objective
    ratios = loss_ratios(problem, rows)
    cost = ratios @ np.array(list(objective.weights.values()))
    feasible = (rows["failure"] == "").to_numpy() & within_limits(rows, objective)
    best = np.minimum.accumulate(np.where(feasible, cost, np.inf))
    has_front = ratios.shape[1] > 1
    return rows.assign(
        evaluation=np.arange(1, len(rows) + 1),
        cost=cost,
        feasible=feasible,
        best=np.where(np.isfinite(best), best, np.nan),
        hypervolume=hypervolume_so_far(ratios, feasible, reference_point) if has_front else np.nan,
    )


def sampler_curves(
    table: pd.DataFrame, column: str, *, seeds: Sequence[int], budget: int
) -> Floats:
    """Arranges a column of one sampler's runs on one problem as (seeds, evaluations).

    A run that ended before the budget, because it found nothing new, keeps its last value. The
    row of a missing run is NaN; infinity stands where a run has nothing feasible yet.
    """
    parts = dict(iter(table.groupby("seed")[column]))
    curves = np.full((len(seeds), budget), np.nan)
    for curve, seed in zip(curves, seeds, strict=True):
        if seed in parts:
            values = parts[seed].to_numpy(dtype=float)
            short = max(budget - len(values), 0)
            curve[:] = np.nan_to_num(np.pad(values, (0, short), mode="edge"), nan=np.inf)
    return curves
