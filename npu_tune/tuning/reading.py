"""Reads studies from their ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.errors import StorageError
from npu_tune.space import Configuration
from npu_tune.targets import Confidence, Identity, Metric, ProfileSchema
from npu_tune.targets.garbage import no_collection
from npu_tune.targets.key import READABLE_VERSIONS
from npu_tune.tuning.bounds import bound_of
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.identity import about_study
from npu_tune.tuning.ledger import Ledger, open_ledger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.recorded import trial_records
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.stretches import stretches

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PLANNED = "evaluations_planned"
STOPPED = "stopped"
AGAIN = "baseline_again"
RIVALS = "rivals"
FILLED_IN = "filled_in"
BOUND = "bound"
"""Attributes of a study's ledger."""


def read_study(folder: Path | str) -> StudyResult:
    """Reads a study from its folder, also while it runs.

    Raises:
        UsageError: if there is no study in the folder.
        StorageError: if its ledger cannot be read, or holds nothing yet.
    """
    with no_collection():
        return read_content(read_study_folder(Path(folder)), lean=True).result()


@dataclass(frozen=True)
class StudyContent:
    """What a ledger held of a study at one moment.

    Args:
        name: of the study.
        attributes: of the study.
        trials: all of the ledger, in the order of their numbers.
    """

    name: str
    attributes: Mapping[str, Any]
    trials: Sequence[FrozenTrial]

    @classmethod
    def of(cls, ledger: Ledger) -> StudyContent:
        """Of an open ledger."""
        return cls(ledger.name, ledger.attributes(), ledger.trials())

    def result(self) -> StudyResult:
        """The study as it stood.

        Raises:
            StorageError: if it holds nothing yet, or what another version wrote.
        """
        return _result(self)


def read_content(study: StudyFile, *, lean: bool = False) -> StudyContent:
    """What a study's ledger holds, also while it runs.

    Args:
        study: the file in its folder.
        lean: for a result alone: the trials are as :func:`open_ledger` says.

    Raises:
        StorageError: if its ledger cannot be read.
    """
    with open_ledger(
        study.storage, name=study.name, directions=(), create=False, read_only=True, lean=lean
    ) as ledger:
        return StudyContent.of(ledger)


def result_of(ledger: Ledger) -> StudyResult:
    """The study in an open ledger as it stands.

    Raises:
        StorageError: if it holds nothing yet, or what another version wrote.
    """
    return StudyContent.of(ledger).result()


def _result(content: StudyContent) -> StudyResult:
    name, attributes = content.name, content.attributes
    about = about_study(name, attributes)
    if about is None:
        raise StorageError(
            f"The study {name!r} holds nothing yet.", remedy="Wait until it has begun."
        )
    if about.get("schema_version") not in READABLE_VERSIONS:
        raise StorageError(
            f"The study {name!r} was written by another version of npu-tune.",
            remedy="Read it with that version.",
            schema_version=about.get("schema_version"),
        )
    default, deterministic = Configuration.of(about["default"]), about.get("deterministic", True)
    objective = Objective(
        weights=about["objective"],
        directions=about["directions"],
        limits=about["limits"],
        pareto=about["mode"] == "pareto",
        floors=about.get("floors", {}),
    )
    trials = trial_records(
        content.trials,
        default=default,
        objective=objective,
        deterministic=deterministic,
        filled_in=attributes.get(FILLED_IN) or {},
    )
    return StudyResult(
        name=name,
        model=about["model"],
        identity=Identity.from_dict(about),
        metrics=tuple(Metric.from_dict(metric) for metric in about["metrics"]),
        objective=objective,
        default=default,
        trials=tuple(trials),
        references={**about["references"], **(attributes.get(RIVALS) or {})},
        evaluations_planned=attributes.get(PLANNED),
        confidence=Confidence.from_dict(about["confidence"]) if "confidence" in about else None,
        notes=tuple(about.get("notes", ())),
        stretches=stretches(attributes),
        profile=ProfileSchema(**about.get("profile", {})),
        deterministic=deterministic,
        stopped=attributes.get(STOPPED),
        baseline_again=attributes.get(AGAIN),
        bound=bound_of(attributes.get(BOUND)),
    )
