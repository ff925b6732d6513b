"""Builds the trial of an exported folder once more, of what stands in the folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from npu_tune.errors import ModelError, NpuTuneError, UsageError
from npu_tune.files import is_file, storage_errors
from npu_tune.report.build import PickedTrial, stage_trial
from npu_tune.report.export.document import SCHEMA
from npu_tune.report.export.place import CHECKSUMS, DOCUMENT, files_in
from npu_tune.report.export.study import FOLDER
from npu_tune.report.export.trials import TRIALS, read_trials
from npu_tune.report.opening import open_study_problem
from npu_tune.report.verification.checksums import compare_checksums
from npu_tune.report.verification.differences import file_difference
from npu_tune.report.verification.metrics import compare_metrics, problem_changes, require_model
from npu_tune.report.verification.outcome import (
    EXPORT,
    FileCheck,
    Verification,
    VersionChange,
)
from npu_tune.targets import Target
from npu_tune.tuning import load_study_file
from npu_tune.tuning.config import StudyFile, is_model_file_name
from npu_tune.versions import installed_versions

Tell = Callable[[str], None]


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export, or what is left of one."""
    return (folder / DOCUMENT).is_file() or (folder / CHECKSUMS).is_file()


def verify_export(
    folder: Path, *, model: Path | None, target: Target | None, tell: Tell
) -> Verification:
    """Holds an exported folder against its checksums, and then against what is built once more.

    Args:
        folder: of the export.
        model: the file of its model, instead of the one in the folder.
        target: instead of the one that the study's file names.
        tell: is told what is done next.

    Raises:
        UsageError: if the folder has no checksums.
        StorageError: if it cannot be read.
    """
    tell("Holding the files against their checksums")
    found = Verification(folder, EXPORT, checksums=compare_checksums(folder, model))
    try:
        return _rebuilt(found, model, target, tell)
    except NpuTuneError as error:
        return replace(found, error=error)


def _rebuilt(
    found: Verification, model: Path | None, target: Target | None, tell: Tell
) -> Verification:
    folder = found.folder
    document = _document(folder)
    study = _study(folder, document, model)
    trials = folder / FOLDER / TRIALS
    if not trials.is_file():
        raise UsageError(
            f"The trials of the study, {FOLDER}/{TRIALS}, are not in {folder}: an export of an "
            "earlier version has none.",
            remedy="Its checksums were looked at, and nothing else can be; export the trial once "
            "more.",
        )
    content = read_trials(trials, name=study.name)
    picked = PickedTrial.of(study, content, str(document["study"]["trial"]))
    result, trial = picked.result, picked.trial
    tell(f"Opening {result.model} for {result.target}")
    with open_study_problem(study, result, target, same=False) as problem:
        require_model(problem, result)
        tell(f"Building trial {trial.number} once more")
        with TemporaryDirectory(prefix="npu-tune-") as name:
            made = Path(name) / "made"
            built, _ = stage_trial(
                made,
                picked,
                problem,
                versions=document["versions"],
                stated=None if problem.deterministic else document["figures"]["built"],
            )
            tell("Comparing every file")
            files = tuple(
                _compare(folder, made, document, model, measured=not problem.deterministic)
            )
        changes = (*_version_changes(document), *problem_changes(problem, result))
        recorded: Mapping[str, float] = document["figures"]["built"]
        metrics = compare_metrics(result, trial.number, recorded, built.evaluation.metrics)
    return replace(
        found,
        study=result.name,
        trials=(trial.number,),
        versions=changes,
        files=files,
        metrics=metrics,
    )


def _document(folder: Path) -> dict[str, Any]:
    """``export.json``, with what is needed of it."""
    path = folder / DOCUMENT
    with storage_errors("The file", path, action="read"):
        text = path.read_bytes()
    try:
        document: dict[str, Any] = json.loads(text)
        is_whole = (
            document["schema"] == SCHEMA
            and int(document["study"]["trial"]) >= 0
            and all(isinstance(v, float | int) for v in document["figures"]["built"].values())
            and all(isinstance(path, str) for path in document["files"].values())
            and document["versions"].keys()
            and document["model"]["sha256"]
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise UsageError(
            f"{path} is not what an export writes.", remedy="Export the trial once more."
        )
    return document


def _study(folder: Path, document: Mapping[str, Any], model: Path | None) -> StudyFile:
    """The study file of an export, whose model is there.

    Raises:
        UsageError: if it is not there, or makes no sense, or files of the target are missing.
        ModelError: if the model is not there.
    """
    study = load_study_file(folder / FOLDER / "study.toml")
    missing = {
        name: digest
        for name, digest in (document.get("beside") or {}).items()
        if not is_file(folder / FOLDER / name)
    }
    if missing:
        listed = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in missing.items())
        raise UsageError(
            f"The target needs {listed}, which no export takes along.",
            remedy=f"Put it into {folder / FOLDER}.",
            missing=missing,
        )
    path = str(model) if model is not None else study.model.path
    if model is None and is_model_file_name(path) and not is_file(path):
        digest = document["model"]["sha256"]
        raise ModelError(
            f"The model {Path(path).name} is not in {folder / FOLDER}; the one with SHA-256 "
            f"{digest} is needed.",
            remedy="Name its file with --model FILE.",
            sha256=digest,
        )
    return study.model_copy(update={"model": study.model.model_copy(update={"path": path})})


def _compare(
    folder: Path,
    made: Path,
    document: Mapping[str, Any],
    model: Path | None,
    *,
    measured: bool,
) -> Iterator[FileCheck]:
    """Every file of the export beside the one that was made again."""
    again = {path.relative_to(made).as_posix(): path for path in files_in(made)}
    for name in sorted({*again, *document["files"].values()} - {CHECKSUMS}):
        here = folder / name
        if model is not None and not is_file(here) and _is_model(name):
            here = model
        if not is_file(here):
            yield FileCheck(name, "it is not there")
        elif name not in again:
            yield FileCheck(name, "it is not made again")
        else:
            contents = here.read_bytes(), again[name].read_bytes()
            yield FileCheck(name, file_difference(name, *contents, measured=measured))


def _is_model(name: str) -> bool:
    """Whether a file is the export's copy of its model."""
    return Path(name).parent.as_posix() == FOLDER and is_model_file_name(name)


def _version_changes(document: Mapping[str, Any]) -> Iterator[VersionChange]:
    recorded, now = document["versions"], installed_versions()
    for name in dict.fromkeys([*recorded, *now]):
        if recorded.get(name) != now.get(name):
            none = "not installed"
            yield VersionChange(name, recorded.get(name) or none, now.get(name) or none)
