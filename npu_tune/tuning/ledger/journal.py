"""The ledger on a journal file: one line of Optuna's journal format per finished trial."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.errors import LostStorageError, OutageError, StorageError
from npu_tune.tuning.ledger.base import no_such_study
from npu_tune.tuning.ledger.journal_base import JournalBase
from npu_tune.tuning.ledger.journal_file import (
    JournalReader,
    journal_errors,
    repair_end,
    write_all,
)
from npu_tune.tuning.ledger.journal_line import seal
from npu_tune.tuning.ledger.journal_shared import FilePlace, drivers_beside
from npu_tune.tuning.ledger.lock import is_locked
from npu_tune.tuning.ledger.watch import FileWatch

_SECONDS_BETWEEN_SYNCS = 1.0

_LEAST_REST = 20.0
"""Times as long as it took to read a journal again, until that may be done once more: a file
system that is vague about times, such as a network drive's, must not make that the main work."""


class JournalLedger(JournalBase):
    """A study in a journal file, which ``optuna.storages.JournalStorage`` opens as well.

    A trial is one line, written in one system call: it survives the death of the process at
    once. Against the loss of power the file is flushed to the disk at most once a second, so
    that the trials of the last second may be lost; what is half written then is repaired. Every
    line has a checksum, so that no byte that changed later is taken for what was written.

    Args:
        path: of the journal file.
        name: of the study.
        directions: of the objectives; empty to take what is stored.
        metric_names: of the objectives, for Optuna's tools; used when the study is made.
        create: make the study where there is none.
        join: make it also where the file holds other studies.
        read_only: neither lock, nor repair, nor write.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.
        join_wait_s: how long to wait for others at work to let this writer in; 0 to be alone.
    """

    place: FilePlace | None

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        directions: Sequence[str] = (),
        metric_names: Sequence[str] = (),
        create: bool = True,
        join: bool = True,
        read_only: bool = False,
        lean: bool = False,
        join_wait_s: float = 0.0,
    ) -> None:
        self.name, self.read_only, self._path = name, read_only, path
        self._place = str(path)
        self.place = None
        self._descriptor: int | None = None
        self._end = self._changed_ns = self._number = 0
        self._synced_at = self._reread_at = time.monotonic()
        self._reread_s = 0.0
        if not path.exists() and (read_only or not create):
            raise no_such_study(name, str(path))
        try:
            self._reader: JournalReader = JournalReader(path, lean=lean)
            if path.exists():
                self._reader.read()  # what is damaged is not to be touched
            if not read_only:
                self.place = FilePlace(path, join_wait_s=join_wait_s)
            with self._turn():
                if not read_only:
                    self._open_for_writing()
                create = create and not read_only
                self._find_study(directions, metric_names, create=create, join=join)
        except BaseException:
            self.close()
            raise

    def append(self, trial: FrozenTrial) -> int:
        append = super().append
        if self.place is not None and self.place.is_shared:
            self._check_writable()
            self._check_finished(trial)
            return self.place.append(trial, lambda: append(trial))
        return append(trial)

    def _set(self, key: str, value: Any, *, system: bool) -> None:
        with self._turn():
            super()._set(key, value, system=system)

    def has_writer(self) -> bool:
        return self.drivers() > 0

    def drivers(self) -> int:
        return drivers_beside(self._path) or int(is_locked(self._path))

    def check(self) -> None:
        if self.place is not None and self.place.is_shared:
            self._watch.check(self._end)
        elif self._descriptor is not None:
            self._catch_up()

    def close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self.place is not None:
            self.place.release()

    def _turn(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self.place is None else self.place.turn()

    def _open_for_writing(self) -> None:
        with journal_errors(self._path, "written"):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(self._path, flags, 0o644)
            self._reader.read()
            repair_end(self._path)
            self._watch = FileWatch(self._path)
            self._note_state(self._descriptor)
            self._number = self._reader.next_number

    def _read(self) -> None:
        self._reader.read()

    def _catch_up(self) -> None:
        """Takes in what others, such as the dashboard, have written since the last line.

        Raises:
            LostStorageError: if the file is not the one that was written to any more.
            OutageError: if it cannot be read just now.
        """
        try:
            self._follow()
        except (LostStorageError, OutageError):
            raise
        except StorageError as error:
            raise self._changed(error.message) from error

    def _follow(self) -> None:
        descriptor = self._writable()
        found = self._watch.check(self._end)
        if found.st_size == self._end:
            if found.st_mtime_ns != self._changed_ns:
                self._read_again()
                self._changed_ns = found.st_mtime_ns
            return
        with journal_errors(self._path, "read"):
            repair_end(self._path)
            self._note_state(descriptor)
        self._reader.read()
        self._count = self._reader.replay.trial_count(self._study_id)
        self._number = max(self._number, self._reader.next_number)

    def _read_again(self) -> None:
        """Looks whether a file that was touched still says the same."""
        start = time.monotonic()
        if start - self._reread_at < _LEAST_REST * self._reread_s:
            return
        again = JournalReader(self._path)
        again.read()
        if (
            again.replay.study_id(self.name) != self._study_id
            or again.replay.trial_count(self._study_id) != self._count
        ):
            raise self._changed("It holds other trials.")
        self._reread_at = time.monotonic()
        self._reread_s = self._reread_at - start

    def _changed(self, how: str) -> LostStorageError:
        return LostStorageError(
            f"The study {self._path} was changed by another program while it was written. {how}",
            path=str(self._path),
        )

    def _note_state(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        self._end, self._changed_ns = state.st_size, state.st_mtime_ns

    def _write(self, line: bytes) -> None:
        descriptor = self._writable()
        line = seal(line, self._number)
        with journal_errors(self._path, "written"):
            try:
                write_all(descriptor, line)
                if time.monotonic() - self._synced_at > _SECONDS_BETWEEN_SYNCS:
                    os.fsync(descriptor)
                    self._synced_at = time.monotonic()
            except BaseException:
                # Whatever was written of the line goes, so that it can be written again; if even
                # that fails, the next writer finds a torn line and repairs it.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, self._end)
                raise
            self._note_state(descriptor)
        self._number += 1

    def _writable(self) -> int:
        if self._descriptor is None:
            raise StorageError(f"The study {self.name!r} is closed.")
        return self._descriptor
