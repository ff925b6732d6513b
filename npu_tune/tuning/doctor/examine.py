"""Examines a study's storage from end to end, and repairs it where that is asked for."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import storage_id
from npu_tune.errors import MissingExtraError, TargetError
from npu_tune.files import is_file
from npu_tune.targets import load_target
from npu_tune.targets.key import READABLE_VERSIONS
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.doctor.findings import Diagnosis, Finding
from npu_tune.tuning.doctor.journals import JournalFilePatient, RedisPatient
from npu_tune.tuning.folder import STUDY_FILE
from npu_tune.tuning.identity import STUDY, about_study
from npu_tune.tuning.ledger.address import check_address, journal_path, parse_url, shown_place
from npu_tune.tuning.ledger.base import only_study
from npu_tune.tuning.ledger.optuna_storage import open_optuna_storage
from npu_tune.tuning.ledger.server_address import REDIS, missing_driver, server_kind


class _Patient(Protocol):
    @property
    def findings(self) -> list[Finding]: ...
    @property
    def names(self) -> list[str]: ...

    def trials(self, name: str) -> list[FrozenTrial]: ...
    def attributes(self, name: str) -> dict[str, Any]: ...
    def back_up(self, folder: Path) -> Path: ...
    def repair(self, name: str) -> None: ...
    def close(self) -> None: ...


def examine_study(
    storage: str, *, name: str | None, study: StudyFile | None = None, repair: bool = False
) -> Diagnosis:
    """Looks for what is wrong with a study's storage; nothing is changed unless asked for.

    Args:
        storage: the path of a journal file, or the address of a database.
        name: of the study; None for the only one in the storage.
        study: what the file in the study's folder says, where there is one.
        repair: make a backup, and then repair what can be repaired.

    Raises:
        StorageError: if it cannot be read at all, or somebody writes it.
        UsageError: if the storage holds several studies and none is named.
        MissingExtraError: if the database's driver is not installed.
    """
    check_address(storage)
    folder = Path.cwd() if study is None else study.folder
    patient = _patient(storage, name, claim=repair)
    try:
        place = shown_place(storage)
        found = _name_of(patient, name, place)
        trials = [] if found is None else patient.trials(found)
        findings = [*patient.findings, *_about(patient, found, name, study)]
        open_ones = [trial for trial in trials if not trial.state.is_finished()]
        findings += [_unfinished(trial) for trial in open_ones]
        backup = None
        finished = len(trials) - len(open_ones)
        is_due = repair and found is not None and any(f.repairable for f in findings)
        if is_due and found is not None:
            backup = patient.back_up(folder)
            if any(finding.repairable for finding in patient.findings):
                patient.repair(found)
    finally:
        patient.close()
    if is_due and open_ones and found is not None:
        _end(storage, found)
    return Diagnosis(place, found, finished, tuple(findings), repaired=is_due, backup=backup)


def _patient(storage: str, name: str | None, *, claim: bool) -> _Patient:
    path = journal_path(storage)
    if path is not None:
        return JournalFilePatient(path, claim=claim)
    url, place = parse_url(storage), shown_place(storage)
    try:
        if server_kind(storage) is REDIS:
            full = url.render_as_string(hide_password=False)
            return RedisPatient(full, place, name=name, claim=claim)
        from npu_tune.tuning.doctor.databases import DatabasePatient  # noqa: PLC0415 - slow

        return DatabasePatient(url, name=name, claim=claim)
    except ModuleNotFoundError as error:
        raise missing_driver(storage, place, error.name) from error


def _name_of(patient: _Patient, name: str | None, place: str) -> str | None:
    names = patient.names
    if name is not None:
        return name if name in names else None
    return only_study(place, names) if names else None


def _about(
    patient: _Patient, found: str | None, name: str | None, study: StudyFile | None
) -> list[Finding]:
    """Whether the storage holds what it should, by what it says of itself and by the folder."""
    if found is None:
        listed = ", ".join(map(repr, sorted(patient.names))) or "none"
        what = f"There is no study {name!r} in the storage, which holds {listed}."
        if name is None:
            what = "The storage holds no study."
        remedy = f"Check the keys `name` and `storage` of {STUDY_FILE}."
        return [Finding("no study", what, remedy, repairable=False)]
    about = about_study(found, patient.attributes(found))
    if about is None:
        what = f"The study {found!r} was not written by npu-tune: it has no attribute {STUDY!r}."
        remedy = "`npu-tune import` takes its trials over."
        return [Finding("foreign study", what, remedy, repairable=False)]
    findings = []
    version = about.get("schema_version")
    if version not in READABLE_VERSIONS:
        what = (
            f"The study was written in schema version {version}, which this npu-tune cannot read."
        )
        remedy = "Read it with the version of npu-tune that wrote it."
        findings.append(Finding("schema version", what, remedy, repairable=False))
    if study is not None:
        findings += _disagreements(about, study)
    return findings


def _disagreements(about: Any, study: StudyFile) -> list[Finding]:
    remedy = f"Put the {STUDY_FILE} and the model that belong to the ledger into the folder."
    pairs = []
    # A target that cannot be had here, such as one whose compiler is missing, tells nothing.
    with contextlib.suppress(TargetError, MissingExtraError):
        target = load_target(study.target.name, study.target.options)
        pairs.append(("target", about.get("target"), target.name))
    if is_file(study.model.path):
        digest = hashlib.sha256(Path(study.model.path).read_bytes()).hexdigest()
        pairs.append(("model (SHA-256)", about.get("model_sha256"), digest))
    return [
        Finding(
            "folder and ledger differ",
            f"The ledger's {label} is {was}, the folder's is {now}.",
            remedy,
            repairable=False,
        )
        for label, was, now in pairs
        if was != now
    ]


def _unfinished(trial: FrozenTrial) -> Finding:
    return Finding(
        "unfinished trial",
        f"The trial {trial.number} is {trial.state.name}; npu-tune leaves none like that.",
        "It is marked as failed; end the program that works on it first, if any does.",
    )


def _end(storage: str, name: str) -> None:
    """Marks what never finished as failed, through Optuna's own storage."""
    with open_optuna_storage(storage) as optuna_storage:
        study_id = optuna_storage.get_study_id_from_name(name)
        for trial in optuna_storage.get_all_trials(study_id, deepcopy=False):
            if not trial.state.is_finished():
                optuna_storage.set_trial_state_values(storage_id(trial), TrialState.FAIL)
