"""What ledgers in Optuna's journal format have in common, wherever the records are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import (
    METRIC_NAMES_KEY,
    JournalLines,
    direction_words,
    parse_directions,
)
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.base import (
    Ledger,
    check_directions,
    no_such_study,
    only_study,
    other_studies,
)
from npu_tune.tuning.ledger.journal_records import RecordReader


class JournalBase(Ledger):
    """A study of which each finished trial is one record of Optuna's journal format.

    A subclass sets ``name``, ``read_only``, ``_place`` and ``_reader``, and then calls
    :meth:`_find_study`.
    """

    _place: str
    _reader: RecordReader
    _study_id: int
    _count: int

    def append(self, trial: FrozenTrial) -> int:
        self._check_writable()
        self._check_finished(trial)
        self._catch_up()
        self._write(self._lines.trial(self._study_id, trial))
        self._count += 1
        return self._count - 1

    def trials(self) -> list[FrozenTrial]:
        self._read()
        return self._reader.replay.trials_of(self._study_id)

    def directions(self) -> list[str]:
        self._read()
        return direction_words(self._reader.replay.get_study(self._study_id).directions)

    def attributes(self) -> dict[str, Any]:
        self._read()
        return dict(self._reader.replay.get_study(self._study_id).user_attrs)

    def set_attribute(self, key: str, value: Any) -> None:
        self._set(key, value, system=False)

    def system_attributes(self) -> dict[str, Any]:
        self._read()
        return dict(self._reader.replay.get_study(self._study_id).system_attrs)

    def set_system_attribute(self, key: str, value: Any) -> None:
        self._set(key, value, system=True)

    def _set(self, key: str, value: Any, *, system: bool) -> None:
        self._check_writable()
        self._catch_up()
        self._write(self._lines.study_attribute(self._study_id, key, value, system=system))

    def _find_study(
        self, directions: Sequence[str], metric_names: Sequence[str], *, create: bool, join: bool
    ) -> None:
        """Looks for the study, and makes it where it is not there and may be made."""
        wanted = parse_directions(directions)
        self._lines = JournalLines()
        self._read()
        replay = self._reader.replay
        self.name = self.name or only_study(self._place, replay.study_names())
        study_id = replay.study_id(self.name)
        if study_id is None:
            if not create:
                raise no_such_study(self.name, self._place)
            if not join and (others := replay.study_names()):
                raise other_studies(self.name, self._place, others)
            self._write(self._lines.create_study(self.name, wanted))
            self._read()
            study_id = replay.study_id(self.name)
            if study_id is None:
                raise StorageError(f"The study {self.name!r} was not kept by {self._place}.")
            if metric_names:
                key, names = METRIC_NAMES_KEY, list(metric_names)
                self._write(self._lines.study_attribute(study_id, key, names, system=True))
        check_directions(self.name, replay.get_study(study_id).directions, wanted)
        self._study_id, self._count = study_id, replay.trial_count(study_id)

    @abstractmethod
    def _read(self) -> None:
        """Takes in what is new. Raises StorageError."""

    @abstractmethod
    def _catch_up(self) -> None:
        """Takes in what others have written before a record is written. Raises StorageError."""

    @abstractmethod
    def _write(self, line: bytes) -> None:
        """Writes a record in one piece, or nothing. Raises StorageError."""
