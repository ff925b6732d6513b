"""What a study states when a search has ended: of its baseline, its rivals and what is shown."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from npu_tune.errors import NpuTuneWarning
from npu_tune.targets import Problem
from npu_tune.tuning.alone import all_metrics, fill_in
from npu_tune.tuning.bounds import bound_attribute, problem_bound
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.reading import AGAIN, BOUND, FILLED_IN, RIVALS, result_of
from npu_tune.tuning.runner import Runner
from npu_tune.tuning.samples import likely_spread, metric_spread, warn_of_drift
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
        runner.enter(Phase.AGAIN)
        baseline = _evaluate_baseline_again(runner, problem, objective)
        ledger.set_attribute(AGAIN, dict(baseline) if baseline is not None else None)
        if baseline is not None and not ledger.attributes().get(RIVALS):
            runner.enter(Phase.RIVALS)
            ledger.set_attribute(RIVALS, problem_rivals(problem, objective, baseline))
    result = result_of(ledger)
    runner.enter(Phase.METRICS)
    found = fill_in(result.shown, problem, evaluate=runner.evaluate_now)
    if found:
        known = ledger.attributes().get(FILLED_IN) or {}
        ledger.set_attribute(FILLED_IN, {**known, **found})
    runner.enter(Phase.BOUND)
    bound = problem_bound(problem, result.best)
    if bound is not None:
        ledger.set_attribute(BOUND, bound_attribute(bound))


def _evaluate_baseline_again(
    runner: Runner, problem: Problem, objective: Objective
) -> Mapping[str, float] | None:
    """Evaluates the default once more and warns where the metrics have moved.

    Returns:
        Its metrics, or None if it failed or the study was asked to stop.
    """
    metrics = all_metrics(problem, objective)
    outcome = runner.evaluate_now(problem.space.default, metrics, fresh=True)
    if outcome is None:
        return None
    if outcome.evaluation is None:
        text = f"The baseline could not be evaluated again: {outcome.error}"
        warnings.warn(text, NpuTuneWarning, stacklevel=2)
        return None
    found = {} if problem.deterministic else metric_spread(runner.trials)
    spread = likely_spread(problem.metrics, found)
    warn_of_drift(outcome.evaluation.metrics, runner.baseline or {}, spread=spread)
    return outcome.evaluation.metrics
