"""Evaluations of the default, made while nothing else is under way."""

from __future__ import annotations

from collections.abc import Callable

from npu_tune.errors import EvaluationError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.targets import Evaluation
from npu_tune.tuning.signals import StopRequest

TICK_S = 0.5
"""How long a study sleeps at most before it looks at the clock, the ledger and at Ctrl-C."""

_ALONE = -1


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
