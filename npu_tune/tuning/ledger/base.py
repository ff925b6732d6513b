"""What every ledger does."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import direction_words, note_changes, note_of
from npu_tune.closing import Closing
from npu_tune.errors import StorageError, StudyMismatchError, UsageError
from npu_tune.tuning.ledger.shared import SharedPlace


class Ledger(Closing):
    """A study on storage, as a list of finished trials and some attributes.

    Plain Optuna opens the storage as an ordinary study. There is one writer, or several that write
    in turn, and any number of readers beside.

    Attributes:
        name: of the study.
        read_only: True where nothing may be written.
        place: where several writers of the study agree; None where there is one writer alone.
    """

    name: str
    read_only: bool
    place: SharedPlace | None = None

    @abstractmethod
    def append(self, trial: FrozenTrial) -> int:
        """Writes a finished trial in one piece and returns its number in the ledger.

        Once this returns, the trial survives the death of this process.

        Raises:
            OutageError: if the trial could not be written; nothing of it is left behind, and the
                same call may be tried again.
            LostStorageError: if the storage was removed, replaced or cut short.
            StorageError: if the storage is damaged.
        """

    @abstractmethod
    def trials(self) -> list[FrozenTrial]:
        """All trials in the order of their numbers, as storage has them now.

        Raises:
            StorageError: if the storage cannot be read.
        """

    def trials_from(self, first: int, until: int | None = None) -> list[FrozenTrial]:
        """The trials from a number on, up to another one; raises like :meth:`trials`."""
        return self.trials()[first:until]

    @abstractmethod
    def directions(self) -> list[str]:
        """``minimize`` or ``maximize`` per objective of the study. Raises StorageError."""

    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """The study's attributes (Optuna's user attributes)."""

    @abstractmethod
    def set_attribute(self, key: str, value: Any) -> None:
        """Sets a study attribute to a JSON value. Raises StorageError."""

    @abstractmethod
    def has_writer(self) -> bool:
        """Whether some process holds the storage open for writing now; nothing is touched.

        A file that holds several studies has one writer for all of them.

        Raises:
            StorageError: if that cannot be told.
        """

    def drivers(self) -> int:
        """How many processes write the study now; raises like :meth:`has_writer`."""
        return int(self.has_writer())

    @abstractmethod
    def system_attributes(self) -> dict[str, Any]:
        """The study's attributes that Optuna's own tools keep (its system attributes)."""

    @abstractmethod
    def set_system_attribute(self, key: str, value: Any) -> None:
        """Sets one of these to a JSON value. Raises StorageError."""

    def note(self) -> str:
        """The study's note, which Optuna's dashboard shows and lets people edit, as Markdown."""
        return note_of(self.system_attributes())

    def set_note(self, body: str) -> None:
        """Writes the study's note anew. Raises StorageError."""
        for key, value in note_changes(body, self.system_attributes()).items():
            self.set_system_attribute(key, value)

    def check(self) -> None:
        """Looks whether the storage is still the one that was opened.

        Raises:
            LostStorageError: if it was removed, replaced or cut short.
        """

    def find(self, trial: FrozenTrial) -> int | None:  # noqa: ARG002 - not every ledger needs it
        """The number of a trial that was written although ``append`` failed; None if it was not.

        A connection may break after the database has kept a trial and before it could say so.
        """
        return None

    def _check_writable(self) -> None:
        if self.read_only:
            raise StorageError(f"The study {self.name!r} was opened for reading only.")

    def _check_finished(self, trial: FrozenTrial) -> None:
        if not trial.state.is_finished():
            raise ValueError(f"The trial {trial.number} has not finished: {trial.state.name}.")


def check_directions(
    name: str, stored: list[StudyDirection], wanted: list[StudyDirection]
) -> None:
    """Raises StudyMismatchError where a study has other objectives than are wanted, if any."""
    if wanted and stored != wanted:
        was, now = (", ".join(direction_words(each)) for each in (stored, wanted))
        raise StudyMismatchError(
            f"The study {name!r} has the objectives {was}, not {now}.",
            remedy="Give the new study another name or place.",
            stored=was,
            wanted=now,
        )


def only_study(place: str, held: Iterable[str]) -> str:
    """The name of the only study of a storage.

    Args:
        place: of the storage, as people may read it.
        held: the names of its studies.

    Raises:
        UsageError: if there are several, which it names.
        StorageError: if there is none.
    """
    names = sorted(held)
    if not names:
        raise no_such_study("", place)
    if len(names) > 1:
        raise UsageError(
            f"The storage {place} holds several studies: {', '.join(map(repr, names))}.",
            remedy="Say which one with --study-name.",
            place=place,
            held=names,
        )
    return names[0]


def no_such_study(name: str, place: str) -> StorageError:
    """The error for a study, or for any, that is not there and is not to be created."""
    if not name:
        return StorageError(
            f"There is no study in {place}.", remedy="Check the path or the address.", place=place
        )
    return StorageError(
        f"There is no study {name!r} in {place}.",
        remedy="`npu-tune tune` and `npu-tune run` make one.",
        name=name,
        place=place,
    )


def other_studies(name: str, place: str, held: list[str]) -> StudyMismatchError:
    """The error for a study that is asked for by another name than that of what is there."""
    listed = ", ".join(map(repr, sorted(held)))
    return StudyMismatchError(
        f"There is no study {name!r} in {place}, which holds {listed}.",
        remedy="Give the study that name again, or the new study another folder and storage.",
        name=name,
        place=place,
        held=held,
    )
