"""What failed in a study, counted by what was said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from npu_tune.tuning.records import StudyResult


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Trials that failed alike.

    Args:
        failure: the class of the failure.
        message: what was said.
        trials: how many failed so, duplicates not counted.
        first: number of the first of them.
    """

    failure: str
    message: str
    trials: int
    first: int


def failure_counts(result: StudyResult) -> tuple[FailureCount, ...]:
    """Every failure of a study once, the most frequent first."""
    failed = [
        (trial.failure, trial.message, trial.number)
        for trial in result.trials
        if trial.failure is not None and trial.duplicate_of is None
    ]
    counts = Counter((failure, message) for failure, message, _ in failed)
    first = {(failure, message): number for failure, message, number in reversed(failed)}
    return tuple(
        FailureCount(*kind, trials=count, first=first[kind])
        for kind, count in counts.most_common()
    )
