"""From recorded metrics to costs, best so far and hypervolumes: the tidy table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from npu_tune.compare.runs.recording import Front, ProblemRecord, Recording, RunRecord
from npu_tune.pareto import Floats, hypervolume_so_far
from npu_tune.tuning.objective import MAXIMIZE


def tidy_table(recording: Recording, *, reference_point: float) -> pd.DataFrame:
    """One row per evaluation, with everything that follows from its metrics.

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
    """The columns of a run, but for its labels."""
    rows = run.rows
    ratios = loss_ratios(problem, rows)
    cost = ratios @ np.array(list(problem.objective.weights.values()))
    feasible = (rows["failure"] == "").to_numpy()
    for metric, bound in problem.objective.limits.items():
        feasible = feasible & (rows[metric].to_numpy() <= bound)
    allowed = np.where(feasible, cost, np.inf)
    best = np.minimum.accumulate(allowed)
    return rows.assign(
        evaluation=np.arange(1, len(rows) + 1),
        cost=cost,
        feasible=feasible,
        best=np.where(np.isfinite(best), best, np.nan),
        hypervolume=hypervolume_so_far(ratios, feasible, reference_point),
    )


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


def front_ratios(problem: ProblemRecord, front: Front) -> Floats:
    """The same for the points of a front."""
    return loss_ratios(problem, pd.DataFrame(front, columns=[*problem.objective.weights]))


def curves(table: pd.DataFrame, column: str, *, seeds: Sequence[int], budget: int) -> Floats:
    """A column of one sampler's runs on one problem, as (seeds, evaluations).

    A run that ended before the budget, because it found nothing new, keeps its last value. The
    row of a run that is not there is NaN; infinity stands where a run has nothing feasible yet.
    """
    parts = dict(iter(table.groupby("seed")[column]))
    lines = np.full((len(seeds), budget), np.nan)
    for line, seed in zip(lines, seeds, strict=True):
        if seed in parts:
            values = parts[seed].to_numpy(dtype=float)
            short = max(budget - len(values), 0)
            line[:] = np.nan_to_num(np.pad(values, (0, short), mode="edge"), nan=np.inf)
    return lines
