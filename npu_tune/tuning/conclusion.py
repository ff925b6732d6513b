"""What a study states when a search has ended: of its baseline, its rivals and what is shown."""

from __future__ import annotations

from npu_tune.targets import Problem
from npu_tune.tuning.bounds import bound_attribute, problem_bound
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.reading import AGAIN, BOUND, FILLED_IN, RIVALS, result_of
from npu_tune.tuning.runner import Runner
from npu_tune.tuning.search import problem_rivals


def conclude(
    ledger: PatientLedger,
    runner: Runner,
    problem: Problem,
    objective: Objective,
    *,
    again: bool,
) -> None:
    """Adds to a ledger what is only known, or only asked for, at the end of a search.

    Args:
        ledger: of the study.
        runner: that has run it.
        problem: that was searched.
        objective: of the study.
        again: whether to evaluate the baseline once more.
    """
    if again:
        baseline = runner.evaluate_baseline_again()
        ledger.set_attribute(AGAIN, dict(baseline) if baseline is not None else None)
        if baseline is not None and not ledger.attributes().get(RIVALS):
            ledger.set_attribute(RIVALS, problem_rivals(problem, objective, baseline))
    result = result_of(ledger)
    found = runner.fill_in(result.shown)
    if found:
        known = ledger.attributes().get(FILLED_IN) or {}
        ledger.set_attribute(FILLED_IN, {**known, **found})
    bound = problem_bound(problem, result.best)
    if bound is not None:
        ledger.set_attribute(BOUND, bound_attribute(bound))
