"""Holds metrics that were recorded against those of the same trial now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from npu_tune.errors import ModelError
from npu_tune.report.verification.outcome import MetricCheck, VersionChange
from npu_tune.targets import Problem
from npu_tune.tuning import StudyResult
from npu_tune.tuning.samples import BEYOND_NOISE


def compare_metrics(
    result: StudyResult, trial: int, recorded: Mapping[str, float], now: Mapping[str, float]
) -> tuple[MetricCheck, ...]:
    """Every metric that both evaluations of a trial report.

    Args:
        result: of the study.
        trial: its number.
        recorded: what was reported.
        now: what was found.
    """
    spread = result.likely_spread
    return tuple(
        MetricCheck(
            trial,
            name,
            value,
            now[name],
            None if result.deterministic else BEYOND_NOISE * spread.get(name, 0.0),
        )
        for name, value in recorded.items()
        if name in now
    )


def problem_changes(problem: Problem, result: StudyResult) -> Iterator[VersionChange]:
    """What of the target is not what it was, such as the version of its compiler."""
    for label, was, now in problem.identity.differences(result.identity.to_dict()):
        yield VersionChange(label, str(was), str(now))


def require_model(problem: Problem, result: StudyResult) -> None:
    """Checks that a problem is of the study's model.

    Raises:
        ModelError: if it is of another one; says which is needed.
    """
    own, wanted = problem.identity.model_sha256, result.identity.model_sha256
    if own != wanted:
        raise ModelError(
            f"The model has SHA-256 {own}; the one with {wanted} is needed.",
            remedy="Name its file with --model FILE.",
            sha256=wanted,
        )
