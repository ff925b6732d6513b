"""Takes a study over: one of this package whole, of one of plain Optuna what it has tried."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import METRIC_NAMES_KEY
from npu_tune.errors import StorageError, StudyMismatchError, UsageError
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import copy_study_folder, is_study_folder, read_study_folder
from npu_tune.tuning.foreign.agreement import ImportSummary, summary_of
from npu_tune.tuning.foreign.starts import IMPORTED, ImportedStudy
from npu_tune.tuning.foreign.study import ForeignStudy
from npu_tune.tuning.identity import STUDY, about_study
from npu_tune.tuning.ledger import Ledger, open_ledger
from npu_tune.tuning.ledger.address import shown_place
from npu_tune.tuning.ledger.shared import other_writer
from npu_tune.tuning.reading import read_content
from npu_tune.tuning.study import run_study

_TELL_EVERY = 1000


@dataclass(frozen=True)
class Imported:
    """What was taken over.

    Args:
        name: of the study.
        place: where it is now, as it was asked for, without a password.
        trials: that it has there.
        new: of these, what this call has written.
        summary: what became of a study of plain Optuna; None of one of this package.
    """

    name: str
    place: str
    trials: int
    new: int
    summary: ImportSummary | None = None


def import_study(
    source: str,
    to: str,
    *,
    name: str | None = None,
    storage: str | None = None,
    into: StudyFile | None = None,
    values: Sequence[str] = (),
    tell: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Imported:
    """Copies a study of this package; evaluates here what a study of plain Optuna has tried.

    The former goes over with all its trials, attributes and what it is about. A copy that was
    interrupted is taken up where it ended when the same is asked for again; until it is whole the
    new storage does not say what its trials are, so that nothing goes on with half a study.

    Of the latter the configurations are starts of a new study, the best first, and are evaluated,
    since numbers that cannot be made again are not mixed with others. The same call again goes
    on, and takes in what has been added there.

    Args:
        source: a study's folder, the path of a journal file, or the address of a database.
        to: a folder where the source is one, or is of plain Optuna; else a path or an address.
        name: of the study in a source that is no folder; None for the only one.
        storage: of the new folder; a journal file in it if None.
        into: what the new study is about and how it is run, in the folder ``to``, for a study of
            plain Optuna.
        values: what the objectives of that one are, where it does not say.
        tell: is called with how many trials are there, and of how many, now and then.
        options: of :func:`npu_tune.tuning.run_study`, for the evaluations.

    Raises:
        UsageError: if that cannot be asked for together.
        StorageError: if the source cannot be read or is being written, or the new storage cannot
            be written or holds something else.
        StudyMismatchError: if the new storage holds another study of that name.
    """
    old = read_study_folder(Path(source)) if is_study_folder(Path(source)) else None
    new = None if old is None else _moved(old, Path(to), storage)
    storage_there = source if old is None else old.storage
    if into is not None and "://" in to:
        raise UsageError(
            "A study of plain Optuna is taken over into a folder.",
            remedy="Name a new folder with --to, and the database with --storage.",
        )
    with open_ledger(
        storage_there, name=name or "" if old is None else old.name, create=False, read_only=True
    ) as ledger:
        if ledger.has_writer():
            raise other_writer(repr(ledger.name))
        about = about_study(ledger.name, ledger.attributes())
        foreign = _foreign(ledger, into, shown_place(storage_there), values, is_own=bool(about))
        if foreign is None:
            if old is None and storage is not None:
                raise UsageError(
                    "A storage of its own is for the folder of a study.",
                    remedy="Name the new storage with --to alone.",
                )
            if new is not None and old is not None:
                copy_study_folder(old, new)
            return _copy(ledger, to if new is None else new.storage, shown_place(to), tell)
    return _take_over(*foreign, options)


def _foreign(
    ledger: Ledger, into: StudyFile | None, place: str, values: Sequence[str], *, is_own: bool
) -> tuple[ForeignStudy, StudyFile] | None:
    """What a ledger of plain Optuna holds, and what takes it; None of one of this package."""
    if is_own and into is not None:
        raise UsageError(
            f"The study {ledger.name!r} says itself of which model and target its trials are.",
            remedy="Name where it goes with --to, and leave the rest out.",
        )
    if is_own:
        return None
    if into is None:
        raise UsageError(
            f"The study {ledger.name!r} was not written by npu-tune, and does not say of which "
            "model and target its trials are.",
            remedy="Say so with --model and --target, or with --file and a study file.",
        )
    return ForeignStudy.of(ledger, place, names=values), into


def _take_over(foreign: ForeignStudy, into: StudyFile, options: Mapping[str, Any]) -> Imported:
    before = _count_trials(into)
    run_study(into, foreign=foreign, **options)
    content = read_content(read_study_folder(into.folder))
    imported = ImportedStudy.of_json(content.attributes[IMPORTED + foreign.name])
    trials = len(content.trials)
    summary = summary_of(imported, content.result())
    return Imported(content.name, str(into.folder), trials, trials - before, summary)


def _count_trials(study: StudyFile) -> int:
    return len(read_content(study).trials) if is_study_folder(study.folder) else 0


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
    attributes, trials = ledger.attributes(), ledger.trials()
    with _target(place, ledger) as target:
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
def _target(place: str, ledger: Ledger) -> Iterator[Ledger]:
    names = ledger.system_attributes().get(METRIC_NAMES_KEY, ())
    with open_ledger(
        place, name=ledger.name, directions=ledger.directions(), metric_names=names
    ) as target:
        yield target


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
