"""The study folder: the study file, a copy of the model and, by default, the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.files import is_file, storage_errors, write_whole
from npu_tune.network import Network
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.ledger.address import has_password, is_same_place
from npu_tune.tuning.study_file import load_study_file, study_file_to_toml
from npu_tune.validation import key_name, key_note

STUDY_FILE = "study.toml"
CALIBRATION = "calibration.npz"


def make_study_folder(study: StudyFile) -> None:
    """Makes the folder of a study.

    Raises:
        StorageError: if it cannot be made.
    """
    with storage_errors(f"The study folder{key_note('study.folder')}", study.folder):
        study.folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """Within it a folder may be made; where nothing was put into it, none is left behind."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            for each in missing:
                each.rmdir()


def write_study_folder(study: StudyFile, network: Network) -> None:
    """Makes the folder self-contained: ``npu-tune run FOLDER/study.toml`` works once it is moved.

    It may be gone meanwhile, as another run that came too late removes what it leaves empty.

    Raises:
        StorageError: if the folder cannot be written.
    """
    make_study_folder(study)
    folder = study.folder
    model_name = f"model.{network.format}"
    # What was made int8 needs no calibration any more; a target that makes int8 itself does.
    calibration = study.model.calibration if network.format == "onnx" else None
    kept_calibration = None if calibration is None else Path(CALIBRATION)
    model = study.model.model_copy(update={"path": model_name, "calibration": kept_calibration})
    section = study.study.model_copy(update={"name": study.name, "folder": Path()})
    kept = study.model_copy(update={"model": model, "study": section})
    with storage_errors(f"The study folder{key_note('study.folder')}", folder):
        _keep(folder / model_name, network.model_bytes)
        if calibration is not None:
            _keep(folder / CALIBRATION, calibration.read_bytes())
        write_whole(
            folder / STUDY_FILE,
            study_file_to_toml(kept).encode(),
            private=has_password(study.storage),
        )


def copy_study_folder(old: StudyFile, new: StudyFile) -> None:
    """Makes a folder with the files of another one, for a study that was taken over.

    Args:
        old: what the file in the other folder says.
        new: the same with the new folder and storage.

    Raises:
        StorageError: if the folder cannot be written.
    """
    make_study_folder(new)
    files = [Path(old.model.path), *filter(None, [old.model.calibration])]
    update: dict[str, object] = {"path": files[0].name}
    if old.model.calibration is not None:
        update["calibration"] = Path(CALIBRATION)
    model = old.model.model_copy(update=update)
    section = new.study.model_copy(update={"folder": Path()})
    kept = new.model_copy(update={"model": model, "study": section})
    with storage_errors("The study folder", new.folder):
        for file in files:
            _keep(new.folder / file.name, file.read_bytes())
        write_whole(
            new.folder / STUDY_FILE,
            study_file_to_toml(kept).encode(),
            private=has_password(new.storage),
        )


def _keep(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


def is_study_folder(folder: Path) -> bool:
    """Whether a study has begun in the folder."""
    return is_file(folder / STUDY_FILE)


def kept_identity(folder: Path, storage: str | None) -> dict[str, str | None]:
    """Name and storage of a study: those of the study in the folder where there is one.

    Args:
        folder: of the study.
        storage: that was asked for; None for what the folder says.
    """
    if not is_study_folder(folder):
        return {"name": folder.resolve().name, "storage": storage}
    kept = read_study_folder(folder)
    return {"name": kept.name, "storage": storage or kept.study.storage}


def require_same_storage(study: StudyFile) -> None:
    """Checks that a study goes on where the one in its folder keeps its trials.

    Raises:
        StudyMismatchError: if its trials were to go elsewhere, and those that are there be lost
            sight of.
    """
    if not is_study_folder(study.folder):
        return
    kept = read_study_folder(study.folder)
    if not is_same_place(kept.storage, study.storage):
        raise StudyMismatchError(
            f"The study in {study.folder} has another storage than "
            f"{key_name('study.storage')} says.",
            remedy=f"Leave that out, or give the new study another folder; where the storage was "
            f"moved, change it in {study.folder / STUDY_FILE}.",
            folder=str(study.folder),
        )


def read_study_folder(folder: Path) -> StudyFile:
    """The study file of a study folder.

    Raises:
        UsageError: if there is no study in the folder.
    """
    if not is_study_folder(folder):
        raise UsageError(
            f"There is no study in {folder}.",
            remedy="Give the folder that `npu-tune tune --study` or `npu-tune run` made.",
            folder=str(folder),
        )
    return load_study_file(folder / STUDY_FILE)
