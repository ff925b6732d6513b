"""Evaluations one at a time, beside the search: of the baseline, and of trials that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from npu_tune.errors import EvaluationError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation, Problem, missing_metrics
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.signals import StopRequest
from npu_tune.tuning.trial import TrialRecord

TICK_S = 0.5
"""How long a study sleeps at most before it looks at the clock, the ledger and at Ctrl-C."""

_ALONE = -1

Evaluate = Callable[[Configuration, tuple[str, ...]], Outcome | None]
"""Evaluates a configuration with the metrics that are needed."""


def evaluate_alone(
    evaluator: Evaluator, request: Request, *, stop: StopRequest, tick: Callable[[], None]
) -> Outcome | None:
    """Evaluates one configuration and waits; None where the study was asked to stop first.

    Args:
        evaluator: has nothing else to do.
        request: what to evaluate.
        stop: whether somebody asked to stop.
        tick: called about twice a second.
    """
    submitted = False
    while not stop.requested:
        if not submitted and evaluator.free > 0:
            evaluator.submit(_ALONE, request)
            submitted = True
        finished = evaluator.wait(TICK_S)
        if finished is not None:
            return finished.answer
        tick()
    return None


def require_evaluation(outcome: Outcome) -> Evaluation:
    """The evaluation of the default configuration.

    Raises:
        EvaluationError: if it failed.
    """
    if outcome.error is None and outcome.evaluation is not None:
        return outcome.evaluation
    error = outcome.error or EvaluationError("no answer")
    message = f"The default configuration cannot be evaluated: {error.message}"
    raise type(error)(message, remedy=error.remedy, **error.data) from error


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
