"""Journals as patients: in a file, or in Redis."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.closing import Closing
from npu_tune.errors import StorageError
from npu_tune.files import storage_errors, write_whole
from npu_tune.tuning.doctor.boards import board_findings
from npu_tune.tuning.doctor.findings import Finding, free_backup_name
from npu_tune.tuning.doctor.records import Sifted, sift
from npu_tune.tuning.ledger.journal_file import whole_start
from npu_tune.tuning.ledger.journal_shared import board_path, drivers_beside
from npu_tune.tuning.ledger.lock import WriterLock, is_locked

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_LOCK_GRACE_S = 30.0
"""After so many seconds Optuna itself takes a lock's owner for dead (its ``grace_period``)."""


class _JournalPatient(Closing):
    """What journals have in common; a subclass sets ``_sifted``."""

    _sifted: Sifted

    @property
    def names(self) -> list[str]:
        return self._sifted.replay.study_names()

    def trials(self, name: str) -> list[FrozenTrial]:
        replay = self._sifted.replay
        study_id = replay.study_id(name)
        return [] if study_id is None else replay.trials_of(study_id)

    def attributes(self, name: str) -> dict[str, Any]:
        replay = self._sifted.replay
        study_id = replay.study_id(name)
        return {} if study_id is None else dict(replay.get_study(study_id).user_attrs)


class JournalFilePatient(_JournalPatient):
    """A journal file.

    Args:
        path: of the file.
        claim: hold the writer's lock, to repair.

    Raises:
        StorageError: if it cannot be read, or somebody writes it.
    """

    def __init__(self, path: Path, *, claim: bool) -> None:
        self._path, self._lock = path, None
        if not path.is_file():
            raise StorageError(f"There is no journal {path}.", remedy="Check the path.")
        if claim:
            self._lock = WriterLock(path)
        if (is_locked(path) and not claim) or drivers_beside(path):
            self.close()
            raise being_written(str(path))
        with storage_errors("The study", path, action="read"):
            content = path.read_bytes()
        *lines, tail = content.split(b"\n")
        self._torn: list[Finding] = []
        if tail.strip(b"\0 \t\r"):
            whole = whole_start(tail)
            lines += [whole] if whole else []
            self._torn = [
                Finding(
                    "torn end",
                    f"The last line of {path} was only half written.",
                    "Its end is written." if whole else "What there is of it is cut off.",
                )
            ]
        elif tail:
            self._torn = [
                Finding("torn end", f"{path} ends with zeros or blanks.", "They are cut off.")
            ]
        self._sifted = sift(lines, place=str(path), word="Line")
        self._locks = _left_locks(path)
        # Nobody is at work on the study, so that nobody needs what was agreed on.
        self._board = board_path(path)
        self._agreed = board_findings(_text_of(self._board))

    @property
    def findings(self) -> list[Finding]:
        locks = [
            Finding("stale lock", f"A lock that Optuna left stands at {lock}.", "It is removed.")
            for lock in self._locks
        ]
        return [*self._sifted.findings, *self._torn, *locks, *self._agreed]

    def back_up(self, folder: Path) -> Path:  # noqa: ARG002 - a file's backup lies beside it
        backup = free_backup_name(self._path)
        with storage_errors("The backup", backup):
            shutil.copy2(self._path, backup)
            if self._agreed:
                shutil.copy2(self._board, free_backup_name(self._board))
        return backup

    def repair(self, name: str) -> None:  # noqa: ARG002 - the file holds all studies
        for lock in self._locks:
            lock.unlink(missing_ok=True)
        self._board.unlink(missing_ok=True)
        if self._torn or self._sifted.findings:
            with storage_errors("The study", self._path):
                write_whole(self._path, b"".join(line + b"\n" for line in self._sifted.kept))

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()


class RedisPatient(_JournalPatient):
    """A journal in a database of a Redis server.

    Args:
        url: with the password.
        place: without it.
        name: of the study, for the claim.
        claim: keep writers away, to repair.
    """

    def __init__(self, url: str, place: str, *, name: str | None, claim: bool) -> None:
        from npu_tune.tuning.ledger import redis_store  # noqa: PLC0415 - an extra

        self._store = redis_store.RedisStore(url, place)
        self._claimed = None
        try:
            for each in self._store.claimed_studies():
                raise being_written(f"{each!r} in {place}")
            if claim and name is not None:
                self._claimed = self._store.claim(name)
            self._records = self._store.records()
            self._sifted = sift(self._records, place=place, word="Record")
        except BaseException:
            self.close()
            raise

    @property
    def findings(self) -> list[Finding]:
        return self._sifted.findings

    def back_up(self, folder: Path) -> Path:
        """Writes the records as they are into a journal file."""
        backup = free_backup_name(folder / "redis.journal")
        lines = b"".join((record or b"") + b"\n" for record in self._records)
        with storage_errors("The backup", backup):
            write_whole(backup, lines)
        return backup

    def repair(self, name: str) -> None:  # noqa: ARG002 - the database holds all studies
        self._store.replace(len(self._records), self._sifted.kept)

    def close(self) -> None:
        if self._claimed is not None:
            self._claimed.release()
        self._store.close()


def being_written(what: str) -> StorageError:
    """The error for a storage that somebody writes."""
    return StorageError(
        f"Another process is writing the study {what}.",
        remedy="Wait until it has finished, or stop it.",
    )


def _text_of(path: Path) -> str | None:
    """The text of a small file; None where there is none."""
    with storage_errors("The file", path, action="read"):
        return path.read_text(errors="replace") if path.is_file() else None


def _left_locks(path: Path) -> list[Path]:
    """What Optuna's locks of journal files left behind, by their age.

    Raises:
        StorageError: if one is so young that its owner may live.
    """
    found = []
    for lock in path.parent.glob(f"{path.name}.lock*"):
        try:
            age_s = time.time() - os.lstat(lock).st_mtime
        except FileNotFoundError:
            continue
        if age_s < _LOCK_GRACE_S:
            raise being_written(str(path))
        found.append(lock)
    return sorted(found)
