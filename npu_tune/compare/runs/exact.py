"""Exact fronts of problems, from targets that can compute them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import pandas as pd

from npu_tune.compare.runs.losses import within_limits
from npu_tune.compare.runs.orders import Workload, Workloads
from npu_tune.compare.runs.recording import ExactFront, ProblemRecord, Recording
from npu_tune.errors import TargetError
from npu_tune.pareto import pareto_front
from npu_tune.targets.oracle import Front as LayerFront
from npu_tune.targets.oracle import Oracle, Progress
from npu_tune.tuning.objective import MAXIMIZE


def add_exact_fronts(
    recording: Recording, earlier: Recording | None, workloads: Workloads, *, limit_s: float
) -> Recording:
    """Adds the exact front to every problem of which the target can compute it in time.

    Args:
        recording: the runs.
        earlier: a recording whose fronts are reused where the problem is the same.
        workloads: their targets compute the fronts.
        limit_s: time limit for the front of one problem.
    """
    known = {} if earlier is None else earlier.by_problem
    problems = []
    for problem in recording.problems:
        before = known.get(problem.name)
        if before is not None and replace(before, exact=None) == problem:
            exact = before.exact
        else:
            workload = workloads[problem.name.network, problem.name.target]
            exact = exact_front(workload, problem, limit_s=limit_s)
        problems.append(replace(problem, exact=exact))
    return Recording(tuple(problems), recording.runs)


def exact_front(
    workload: Workload, problem: ProblemRecord, *, limit_s: float
) -> ExactFront | None:
    """Computes the Pareto-optimal points in the objective's metrics.

    A target computes the front over all choices of layers for given network-wide choices; the
    union of these fronts holds the front of the whole space.

    Args:
        workload: network and target.
        problem: for its objective; configurations beyond its limits are left out.
        limit_s: time limit.

    Returns:
        The front with the share of network-wide choices that it covers, those left out of which it
        leaves out choices of layers; None where the target can compute it for none of them.
    """
    objective = problem.objective
    metrics = list(objective.asked)
    if MAXIMIZE in objective.directions.values():
        return None
    with workload.binding.bind() as bound:
        if not isinstance(bound, Oracle):
            return None
        fronts, bases = _fronts(bound, metrics, _deadline(time.monotonic() + limit_s))
    rows = pd.DataFrame(
        [[point.metrics[name] for name in metrics] for front in fronts for point in front.points],
        columns=metrics,
    )
    feasible = rows.loc[within_limits(rows, objective), list(objective.weights)]
    if feasible.empty:
        return None
    points = pareto_front(feasible.to_numpy(dtype=float))
    covered = sum(not front.notes for front in fronts)
    return ExactFront(tuple(map(tuple, points.tolist())), covered / bases)


def _fronts(
    oracle: Oracle, metrics: list[str], progress: Progress
) -> tuple[list[LayerFront], int]:
    """The exact front of every network-wide choice that the target can tell in time.

    Returns:
        The fronts, and how many choices there are.
    """
    fronts: list[LayerFront] = []
    bases = oracle.bases()
    for base in bases:
        with contextlib.suppress(TargetError):
            progress("the front", len(fronts), len(bases))
            front = oracle.front(objectives=metrics, base=base, progress=progress)
            if front.tolerance == 0:
                fronts.append(front)
    return fronts, len(bases)


def _deadline(moment_s: float) -> Progress:
    """Makes a listener that raises on the first report after a moment of the monotonic clock."""

    def progress(what: str, done: int, of: int) -> None:
        if time.monotonic() > moment_s:
            raise TargetError(
                f"The exact front takes too long ({what} {done} of {of}).",
                remedy="Raise 'compare.exact_limit'.",
            )

    return progress
