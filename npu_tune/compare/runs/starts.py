"""Planned configurations for samplers that ask for them, as long as they pay."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from optuna.samplers import BaseSampler

from npu_tune.targets import Problem, Start
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.search import problem_starts

PATIENCE = 10
"""Starts in a row that lower no cost, after which only every other trial is a start."""


def sampler_starts(
    problem: Problem, sampler: BaseSampler, meter: ProgressMeter, *, evaluations: int
) -> Iterator[Start | None]:
    """The problem's starts for a sampler that asks for them, within the budget.

    A sampler asks by an attribute ``starts``, the share of the budget that may go to them.

    Args:
        problem: is asked for one start at a time.
        sampler: of the run.
        meter: of the run, which evaluates one configuration at a time.
        evaluations: the budget.

    Yields:
        the next start, or None where the sampler is to propose something first.
    """
    most = int(getattr(sampler, "starts", 0.0) * evaluations)
    best, in_vain = meter.best_cost, 0
    for start in islice(problem_starts(problem) if most else (), most):
        yield start
        found = meter.best_cost
        in_vain = in_vain + 1 if found == best else 0
        best = found
        if in_vain >= PATIENCE:
            yield None
