"""Takes a whole study over into another storage, where it goes on as it would have here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import METRIC_NAMES_KEY
from npu_tune.errors import StorageError, StudyMismatchError, UsageError
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import copy_study_folder, is_study_folder, read_study_folder
from npu_tune.tuning.identity import STUDY, about_study
from npu_tune.tuning.ledger import Ledger, open_ledger
from npu_tune.tuning.ledger.address import shown_place
from npu_tune.tuning.objective import Objective

_TELL_EVERY = 1000


@dataclass(frozen=True)
class Imported:
    """What was taken over.

    Args:
        name: of the study.
        place: where it is now, as it was asked for, without a password.
        trials: that it has there.
        new: of these, what this call has written.
    """

    name: str
    place: str
    trials: int
    new: int


def import_study(
    source: str,
    to: str,
    *,
    name: str | None = None,
    storage: str | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Imported:
    """Copies a study with all its trials, attributes and what it is about.

    A copy that was interrupted is taken up where it ended when the same is asked for again; until
    it is whole the new storage does not say what its trials are, so that nothing goes on with half
    a study.

    Args:
        source: a study's folder, the path of a journal file, or the address of a database.
        to: a new folder where the source is one; else a path or an address.
        name: of the study in a source that is no folder.
        storage: of the new folder; a journal file in it if None.
        tell: is called with how many trials are there, and of how many, now and then.

    Raises:
        UsageError: if that cannot be asked for together.
        StorageError: if the source cannot be read or is being written, or the new storage cannot
            be written or holds something else.
        StudyMismatchError: if the new storage holds another study of that name.
    """
    old = read_study_folder(Path(source)) if is_study_folder(Path(source)) else None
    if old is None and name is None:
        raise UsageError(
            "The source is no folder of a study, so that its study has to be named.",
            remedy="Say which one with --study-name.",
        )
    new = None if old is None else _moved(old, Path(to), storage)
    if old is None and storage is not None:
        raise UsageError(
            "A storage of its own is for the folder of a study.",
            remedy="Name the new storage with --to alone.",
        )
    study_name = old.name if old is not None else name or ""
    place = new.storage if new is not None else to
    with open_ledger(
        source if old is None else old.storage, name=study_name, create=False, read_only=True
    ) as ledger:
        if ledger.has_writer():
            raise StorageError(
                f"Another process is writing the study {study_name!r}.",
                remedy="Wait until it has finished, or stop it.",
            )
        if new is not None and old is not None:
            copy_study_folder(old, new)
        return _copy(ledger, place, shown_place(to), tell)


def _moved(old: StudyFile, folder: Path, storage: str | None) -> StudyFile:
    if "://" in str(folder):
        raise UsageError(
            "A study's folder is taken over into a folder.",
            remedy="Name a new folder with --to, and the database with --storage.",
        )
    if is_study_folder(folder) and read_study_folder(folder).name != old.name:
        raise StudyMismatchError(
            f"There is another study in {folder}.", remedy="Name another folder with --to."
        )
    section = old.study.model_copy(
        update={"name": old.name, "folder": folder.resolve(), "storage": storage}
    )
    return old.model_copy(update={"study": section})


def _copy(
    ledger: Ledger, place: str, shown: str, tell: Callable[[int, int], None] | None
) -> Imported:
    attributes = ledger.attributes()
    about = about_study(ledger.name, attributes)
    if about is None:
        raise UsageError(
            f"The study {ledger.name!r} was not written by npu-tune, and does not say of which "
            "model and target its trials are.",
            remedy="Only studies that npu-tune wrote can be taken over.",
        )
    trials = ledger.trials()
    with _target(place, ledger, _directions(about)) as target:
        there = target.trials()
        _require_beginning(target, there, trials)
        for trial in trials[len(there) :]:
            target.append(trial)
            if tell is not None and trial.number % _TELL_EVERY == 0:
                tell(trial.number, len(trials))
        kept = target.attributes()
        last = {STUDY: attributes.pop(STUDY)}
        for key, value in [*attributes.items(), *last.items()]:
            if key not in kept or kept[key] != value:
                target.set_attribute(key, value)
        if (note := ledger.note()) != target.note():
            target.set_note(note)
    return Imported(ledger.name, shown, len(trials), len(trials) - len(there))


@contextlib.contextmanager
def _target(place: str, ledger: Ledger, directions: Sequence[str]) -> Iterator[Ledger]:
    names = ledger.system_attributes().get(METRIC_NAMES_KEY, ())
    with open_ledger(place, name=ledger.name, directions=directions, metric_names=names) as target:
        yield target


def _directions(about: Any) -> Sequence[str]:
    return Objective(
        weights=about["objective"],
        directions=about["directions"],
        limits=about["limits"],
        pareto=about["mode"] == "pareto",
        floors=about.get("floors", {}),
    ).study_directions


def _require_beginning(
    target: Ledger, there: Sequence[FrozenTrial], trials: Sequence[FrozenTrial]
) -> None:
    """Checks that what is there already is the beginning of what is taken over."""
    same = len(there) <= len(trials) and all(
        (one.datetime_start, one.datetime_complete, one.params)
        == (other.datetime_start, other.datetime_complete, other.params)
        for one, other in zip(there, trials, strict=False)
    )
    if not same:
        raise StorageError(
            f"The new storage holds a study {target.name!r} with other trials already.",
            remedy="Name another place.",
        )
