"""The ledger on a journal file: one line of Optuna's journal format per finished trial."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import (
    METRIC_NAMES_KEY,
    JournalLines,
    parse_directions,
    without_constraint_list,
)
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.base import Ledger, check_directions, no_such_study
from npu_tune.tuning.ledger.journal_file import (
    JournalReader,
    journal_errors,
    repair_torn_line,
    write_all,
)
from npu_tune.tuning.ledger.lock import WriterLock

_SECONDS_BETWEEN_SYNCS = 1.0


class JournalLedger(Ledger):
    """A study in a journal file, which ``optuna.storages.JournalStorage`` opens as well.

    A trial is one line, written in one system call: it survives the death of the process at
    once. Against the loss of power the file is flushed to the disk at most once a second, so
    that the trials of the last second may be lost; what is half written then is repaired.

    Args:
        path: of the journal file.
        name: of the study.
        directions: of the objectives; empty to take what is stored.
        metric_names: of the objectives, for Optuna's tools; used when the study is made.
        create: make the study where there is none.
        read_only: neither lock, nor repair, nor write.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        directions: Sequence[str] = (),
        metric_names: Sequence[str] = (),
        create: bool = True,
        read_only: bool = False,
    ) -> None:
        self.name, self.read_only, self._path = name, read_only, path
        self._lock: WriterLock | None = None
        self._descriptor: int | None = None
        self._lines = JournalLines()
        if not path.exists() and (read_only or not create):
            raise no_such_study(name, str(path))
        try:
            self._reader = JournalReader(path)
            if not read_only:
                self._open_for_writing()
            self._reader.read()
            self._study_id = self._find_study(
                directions, metric_names, create=create and not read_only
            )
        except BaseException:
            self.close()
            raise
        self._count = self._reader.replay.trial_count(self._study_id)

    def append(self, trial: FrozenTrial) -> int:
        self._check_writable()
        self._check_finished(trial)
        self._catch_up()
        self._write(self._lines.trial(self._study_id, trial))
        self._count += 1
        return self._count - 1

    def trials(self) -> list[FrozenTrial]:
        self._reader.read()
        trials = self._reader.replay.trials_of(self._study_id)
        for trial in trials:
            trial.system_attrs = without_constraint_list(trial.system_attrs)
        return trials

    def attributes(self) -> dict[str, Any]:
        self._reader.read()
        return dict(self._reader.replay.get_study(self._study_id).user_attrs)

    def set_attribute(self, key: str, value: Any) -> None:
        self._check_writable()
        self._catch_up()
        self._write(self._lines.study_attribute(self._study_id, key, value, system=False))

    def close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._lock is not None:
            self._lock.release()

    def _open_for_writing(self) -> None:
        self._lock = WriterLock(self._path)
        with journal_errors(self._path, "written"):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(self._path, flags, 0o644)
            self._reader.read()  # what is damaged elsewhere is not to be touched
            repair_torn_line(self._path)
            self._end = os.fstat(self._descriptor).st_size
            self._synced_at = time.monotonic()

    def _find_study(
        self, directions: Sequence[str], metric_names: Sequence[str], *, create: bool
    ) -> int:
        wanted = parse_directions(directions)
        replay = self._reader.replay
        study_id = replay.study_id(self.name)
        if study_id is None:
            if not create:
                raise no_such_study(self.name, str(self._path))
            self._write(self._lines.create_study(self.name, wanted))
            self._reader.read()
            study_id = replay.study_id(self.name)
            if study_id is None:
                raise StorageError(f"The study {self.name!r} was not kept by {self._path}.")
            if metric_names:
                key, names = METRIC_NAMES_KEY, list(metric_names)
                self._write(self._lines.study_attribute(study_id, key, names, system=True))
        check_directions(self.name, replay.get_study(study_id).directions, wanted)
        return study_id

    def _catch_up(self) -> None:
        """Takes in what others, such as the dashboard, have written since the last line."""
        descriptor = self._writable()
        with journal_errors(self._path, "read"):
            if os.fstat(descriptor).st_size == self._end:
                return
            repair_torn_line(self._path)
            self._end = os.fstat(descriptor).st_size
        self._reader.read()
        self._count = self._reader.replay.trial_count(self._study_id)

    def _write(self, line: bytes) -> None:
        descriptor = self._writable()
        with journal_errors(self._path, "written"):
            try:
                write_all(descriptor, line)
            except BaseException:
                # Whatever was written of the line goes; if even that fails, the next
                # writer finds a torn line and repairs it.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, self._end)
                raise
            self._end += len(line)
            if time.monotonic() - self._synced_at > _SECONDS_BETWEEN_SYNCS:
                os.fsync(descriptor)
                self._synced_at = time.monotonic()

    def _writable(self) -> int:
        if self._descriptor is None:
            raise StorageError(f"The study {self.name!r} is closed.")
        return self._descriptor
