"""The exact front of a problem, from targets that can tell it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import numpy as np

from npu_tune.compare.runs.orders import Workload, Workloads
from npu_tune.compare.runs.recording import ExactFront, ProblemRecord, Recording
from npu_tune.errors import TargetError
from npu_tune.pareto import front_of
from npu_tune.targets.oracle import Front as FrontOfLayers
from npu_tune.targets.oracle import Oracle, Progress
from npu_tune.tuning.objective import MAXIMIZE


def with_exact_fronts(
    recording: Recording, known: Recording | None, workloads: Workloads, *, limit_s: float
) -> Recording:
    """A recording whose problems have their exact fronts, as far as these can be told.

    Args:
        recording: the runs.
        known: an earlier recording, whose fronts are taken over where they are about the same.
        workloads: whose targets are asked.
        limit_s: how long the front of one problem may take.
    """
    earlier = {} if known is None else known.by_problem
    problems = []
    for problem in recording.problems:
        before = earlier.get(problem.name)
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
    """The Pareto-optimal points in the objective's metrics.

    A target tells the front over all choices of layers for given choices of the whole network;
    the fronts of all of these together hold the front of the space.

    Args:
        workload: network and target.
        problem: for its objective; configurations beyond its limits are left out.
        limit_s: how long it may take.

    Returns:
        The front with the share of those choices that it covers; None where the target cannot tell
        it for any.
    """
    target, network, objective = workload.target, workload.network, problem.objective
    wanted = tuple(dict.fromkeys([*objective.weights, *objective.limits]))
    if not isinstance(target, Oracle) or MAXIMIZE in objective.directions.values():
        return None
    deadline = _until(time.monotonic() + limit_s)
    told: list[FrontOfLayers] = []
    bases = target.bases(network)
    for base in bases:
        with contextlib.suppress(TargetError):
            deadline("the front", len(told), len(bases))
            front = target.front(network, objectives=wanted, base=base, progress=deadline)
            if front.tolerance == 0:
                told.append(front)
    metrics = [point.metrics for front in told for point in front.points]
    feasible = {
        tuple(float(row[name]) for name in objective.weights)
        for row in metrics
        if all(row[name] <= bound for name, bound in objective.limits.items())
    }
    if not feasible:
        return None
    points = front_of(np.array(list(feasible)))
    return ExactFront(tuple(map(tuple, points.tolist())), len(told) / len(bases))


def _until(deadline: float) -> Progress:
    """Ends, by raising, whatever reports its progress after the deadline."""

    def progress(what: str, done: int, of: int) -> None:
        if time.monotonic() > deadline:
            raise TargetError(
                f"The exact front takes too long ({what} {done} of {of}).",
                remedy="Raise 'compare.exact_limit'.",
            )

    return progress
