"""How the numbers of a study that was taken over agree with what came out here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npu_tune.tuning.foreign.starts import ImportedStudy
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.trial import TrialRecord


@dataclass(frozen=True)
class MetricAgreement:
    """How a metric that both have agrees.

    Args:
        metric: its name.
        trials: of the other study that were compared.
        difference: the largest one, here minus there, in the metric's unit.
        share: the same as a share of what the other study said; None where that is 0.
        trial: the number there of the one that differs most.
    """

    metric: str
    trials: int
    difference: float
    share: float | None
    trial: int


@dataclass(frozen=True)
class ImportSummary:
    """What became of a study that was taken over.

    Args:
        imported: what was taken over.
        evaluated: of its configurations, how many have been evaluated here.
        failed: how many of these failed here.
        agreements: by metric.
        stopped: why the run ended in which they were evaluated.
    """

    imported: ImportedStudy
    evaluated: int
    failed: int
    agreements: tuple[MetricAgreement, ...]
    stopped: str | None

    @property
    def waiting(self) -> int:
        """Configurations that are still to be evaluated."""
        return len(self.imported.starts) - self.evaluated

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        imported = self.imported
        return {
            "name": imported.name,
            "place": imported.place,
            "trials": dict(imported.states),
            "refused": [vars(each) for each in imported.refused],
            "configurations": len(imported.starts) + imported.left_out,
            "left_out": imported.left_out,
            "waiting": self.waiting,
            "evaluated": self.evaluated,
            "failed": self.failed,
            "agreement": [vars(each) for each in self.agreements],
        }


def summary_of(imported: ImportedStudy, result: StudyResult) -> ImportSummary:
    """What became of what was taken over, as a study stands.

    Args:
        imported: what was taken over.
        result: of the study that took it.
    """
    by_origin = {record.origin: record for record in result.trials}
    found = [
        (start, record)
        for start in imported.starts
        if (record := by_origin.get(imported.origin(start))) is not None
    ]
    pairs = [
        (trial.number, trial.metrics, record)
        for start, record in found
        for trial in start.trials
        if record.failure is None
    ]
    names = dict.fromkeys(name for _, metrics, _ in pairs for name in metrics)
    compared = [_agreement(name, pairs) for name in names]
    return ImportSummary(
        imported,
        len(found),
        sum(record.failure is not None for _, record in found),
        tuple(each for each in compared if each is not None),
        result.stopped,
    )


def _agreement(
    name: str, pairs: list[tuple[int, Mapping[str, float], TrialRecord]]
) -> MetricAgreement | None:
    """How one metric agrees; None where no trial here has it."""
    both = [
        (number, metrics[name], record.metrics[name])
        for number, metrics, record in pairs
        if name in metrics and name in record.metrics
    ]
    if not both:
        return None
    number, there, here = max(both, key=lambda each: abs(each[2] - each[1]))
    difference = here - there
    share = difference / abs(there) if there else None
    return MetricAgreement(name, len(both), difference, share, number)
