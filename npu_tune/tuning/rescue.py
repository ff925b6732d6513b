"""Saves what a study has in memory where its own storage does not take it any more."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from npu_tune.errors import LostStorageError, NpuTuneWarning, OutageError, StorageError
from npu_tune.network import Network
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import STUDY_FILE, make_study_folder, write_study_folder
from npu_tune.tuning.ledger import PatientLedger, open_ledger
from npu_tune.tuning.objective import Objective


@contextlib.contextmanager
def rescuing(
    ledger: PatientLedger, study: StudyFile, network: Network, objective: Objective
) -> Iterator[None]:
    """Saves the whole study in a folder beside its own, if its ledger fails for good in the block.

    Raises:
        StorageError: the ledger's, which says where everything is now.
    """
    try:
        yield
    except StorageError as error:
        # Nobody knows what of it is still in a storage that is out of reach.
        is_needed = ledger.waiting > 0 or isinstance(error, LostStorageError | OutageError)
        if not is_needed or not ledger.in_memory[0]:
            raise
        raise _with_place(error, _save(ledger, study, network, objective), ledger) from error
    except BaseException:
        if ledger.waiting:
            _save_unwritten(ledger, study, network, objective)
        raise


def _with_place(error: StorageError, folder: Path | None, ledger: PatientLedger) -> StorageError:
    if folder is None:
        lost = (
            f"{ledger.waiting} finished trials are lost: no other folder could be written either."
        )
        return type(error)(f"{error.message} {lost}", remedy=error.remedy, **error.data)
    path = folder / "ledger.journal"
    count = len(ledger.in_memory[0])
    return type(error)(
        f"{error.message} All {count} finished trials are kept in {path}.",
        remedy=f"`npu-tune run {folder / STUDY_FILE}` goes on with them.",
        **{**error.data, "rescued": str(path)},
    )


def _save_unwritten(
    ledger: PatientLedger, study: StudyFile, network: Network, objective: Objective
) -> None:
    """For a study that ends for another reason while its storage is out of reach."""
    with contextlib.suppress(StorageError):
        ledger.flush()
    if not ledger.waiting:
        return
    folder = _save(ledger, study, network, objective)
    kept = "are lost" if folder is None else f"are kept, with all before them, in {folder}"
    warnings.warn(
        f"The storage {study.storage} could not be written at the end: {ledger.waiting} finished "
        f"trials {kept}.",
        NpuTuneWarning,
        stacklevel=2,
    )


def _save(
    ledger: PatientLedger, study: StudyFile, network: Network, objective: Objective
) -> Path | None:
    """Writes the study into a new folder, which is returned; None where no place takes it."""
    trials, attributes = ledger.in_memory
    for parent in (study.folder.parent, Path(tempfile.gettempdir())):
        folder = _free_folder(parent, study.folder.name)
        section = study.study.model_copy(update={"folder": folder, "storage": None})
        copy = study.model_copy(update={"study": section})
        try:
            make_study_folder(copy)
            write_study_folder(copy, network)
            with open_ledger(
                copy.storage,
                name=study.name,
                directions=objective.study_directions,
                metric_names=objective.study_metrics,
            ) as saved:
                for key, value in attributes.items():
                    saved.set_attribute(key, value)
                for trial in trials:
                    saved.append(trial)
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return folder
    return None


def _free_folder(parent: Path, name: str) -> Path:
    number = 1
    while (folder := parent / f"{name}.rescued{number}").exists():
        number += 1
    return folder
