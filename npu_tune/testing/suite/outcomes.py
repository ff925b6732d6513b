"""Evaluations and refusals, and whether two lists of them are the same."""

from __future__ import annotations

from collections.abc import Collection

from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation, Problem


def outcome_of(
    problem: Problem, configuration: Configuration, metrics: Collection[str] | None = None
) -> Evaluation | str:
    """An evaluation, or the words in which the target refuses; nothing else may be raised.

    Args:
        problem: what is evaluated.
        configuration: of it.
        metrics: names of those that are needed; None for all.
    """
    try:
        if metrics is not None:
            return problem.evaluate_some(configuration, metrics)
        return problem.evaluate(configuration)
    except EvaluationError as error:
        return f"{error.failure}: {error}"


def evaluations_of(problem: Problem, chosen: list[Configuration]) -> list[Evaluation]:
    """The evaluations of those configurations that the target does not refuse."""
    outcomes = [outcome_of(problem, configuration) for configuration in chosen]
    return [outcome for outcome in outcomes if not isinstance(outcome, str)]


def require_same(
    problem: Problem, these: list[Evaluation | str], those: list[Evaluation | str]
) -> None:
    """Checks that evaluations are equal; of samples, that they report the same metrics."""
    for one, other in zip(these, those, strict=True):
        if isinstance(one, str) or isinstance(other, str):
            assert one == other
            continue
        assert set(one.metrics) == set(other.metrics)
        if problem.deterministic:
            assert dict(one.metrics) == dict(other.metrics)
            assert one.profile == other.profile
