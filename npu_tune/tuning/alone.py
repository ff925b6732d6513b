"""Evaluations one at a time, beside the search: of the baseline, and of trials that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.space import Configuration
from npu_tune.targets import Problem, missing_metrics
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.signals import StopRequest
from npu_tune.tuning.trial import TrialRecord

_ALONE = -1

Evaluate = Callable[[Configuration, tuple[str, ...]], Outcome | None]
"""Evaluates a configuration with the metrics that are needed."""


def evaluate_alone(
    evaluator: Evaluator,
    request: Request,
    *,
    stop: StopRequest,
    tick_s: float,
    tick: Callable[[], None],
) -> Outcome | None:
    """Evaluates while nothing else runs; None where the study was asked to stop first.

    Args:
        evaluator: evaluates.
        request: what is evaluated.
        stop: whether somebody asked to stop.
        tick_s: how often ``tick`` is called.
        tick: does whatever else there is to do.
    """
    submitted = False
    while not stop.requested:
        if not submitted and evaluator.free > 0:
            evaluator.submit(_ALONE, request)
            submitted = True
        finished = evaluator.wait(tick_s)
        if finished is not None:
            return finished.answer
        tick()
    return None


def all_metrics(problem: Problem, objective: Objective) -> tuple[str, ...]:
    """What the objective asks for and all that is on request: others are compared with these."""
    return (*objective.asked, *missing_metrics(problem.metrics, objective.asked))


def fill_in(
    trials: Iterable[TrialRecord], problem: Problem, *, evaluate: Evaluate
) -> Mapping[str, Mapping[str, float]]:
    """Works out the metrics on request that trials were evaluated without.

    Args:
        trials: that are shown.
        problem: they are of.
        evaluate: gives None where the study was asked to stop.

    Returns:
        By key of the configuration: value by metric name.
    """
    found: dict[str, dict[str, float]] = {}
    for trial in trials:
        missing = missing_metrics(problem.metrics, trial.metrics)
        key = problem.key(trial.configuration)
        if not missing or key in found:
            continue
        outcome = evaluate(trial.configuration, (*trial.metrics, *missing))
        if outcome is not None and outcome.evaluation is not None:
            reported = outcome.evaluation.metrics
            found[key] = {name: reported[name] for name in missing if name in reported}
    return found
