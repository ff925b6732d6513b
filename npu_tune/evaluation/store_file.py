"""The SQLite file behind a store: opened, shared, set aside where it is damaged."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from npu_tune.closing import Closing
from npu_tune.errors import NpuTuneWarning, StorageError, remedy_for
from npu_tune.files import storage_errors
from npu_tune.validation import key_note

Found = TypeVar("Found")

SCHEMA_VERSION = 3
"""Of the file. Version 1 kept one answer per key, crashes and time-outs among them, and version 2
neither checksums nor what a configuration is."""

BUSY_TIMEOUT_S = 60.0
"""For another process to finish writing; a write takes some milliseconds."""

DAMAGED = ".damaged"
"""At the end of the name of a file that was set aside."""

LOCK = ".lock"
"""In each folder of stores: held by whoever opens a file there, alone by whoever takes one away."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS outcomes (
        key TEXT, sample INTEGER, machine TEXT,
        outcome BLOB NOT NULL, checksum INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (key, sample, machine)
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_ERRNO = {
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_NOLFS: errno.EFBIG,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}
"""What the operating system calls SQLite's codes, for the same remedies."""

_NO_ACCESS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}
"""SQLite's codes with several causes, which the operating system tells apart."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class StoreFile(Closing):
    """An open file with the tables of a store, for all threads of a process, one at a time.

    Args:
        path: of the file, which is made.
        timeout_s: how long another process may write meanwhile.

    Raises:
        StorageError: if the file cannot be used, or has another schema.
    """

    def __init__(self, path: Path, *, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._turn = threading.RLock()  # what is done in a turn may ask again
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with folder_lock(path.parent):
                opened = self._opened()
            if opened is None:
                with folder_lock(path.parent, alone=True):
                    opened = self._opened() or self._made_anew()
            self._connection = opened

    def use(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        """What the work comes to; done once more where the file was damaged and is made anew.

        Raises:
            StorageError: if the file cannot be used.
        """
        with self._turn, self._errors():
            try:
                return work(self._connection)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
            self._connection.close()
            with folder_lock(self.path.parent, alone=True):
                # Another process may have made it anew already.
                self._connection = self._opened(checked=True) or self._made_anew()
            return work(self._connection)

    def write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """The same within one transaction."""

        def whole(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self.use(whole)

    def warn(self, what: str) -> None:
        """Tells of damage."""
        warnings.warn(f"The cache {self.path} {what}.", NpuTuneWarning, stacklevel=4)

    def close(self) -> None:
        self._connection.close()

    def _opened(self, *, checked: bool = False) -> sqlite3.Connection | None:
        """The open file; None where it is damaged.

        Args:
            checked: whether to look through all of it.
        """
        # Trials of Ray Tune are threads, and a process may have several, one after the other.
        connection = sqlite3.connect(
            self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
            if not checked or connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                return connection
        except sqlite3.DatabaseError as error:
            connection.close()
            if _is_damage(error):
                return None
            raise
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is a table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StorageError(
                f"The cache{key_note('study.cache')} {self.path} has the schema version "
                f"{version}, and this npu-tune reads version {SCHEMA_VERSION}.",
                remedy="Remove the file; it is made again.",
                schema_version=version,
            )
        for statement in _TABLES if version != SCHEMA_VERSION else ():
            connection.execute(statement)

    def _made_anew(self) -> sqlite3.Connection:
        aside = self.path.with_name(self.path.name + DAMAGED)
        self.path.replace(aside)
        for each in beside(self.path):
            each.unlink(missing_ok=True)
        self.warn(f"is damaged; it begins anew, and what it was stands beside as {aside.name}")
        connection = self._opened()
        if connection is None:
            raise OSError(errno.EIO, "a new file is damaged at once", str(self.path))
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        remedy = "Remove the file if it is damaged; it is made again."
        what = f"The cache{key_note('study.cache')}"
        with storage_errors(what, self.path, action="used", remedy=remedy):
            try:
                yield
            except sqlite3.Error as error:
                raise StorageError(
                    f"{what} {self.path} cannot be used: {error}.",
                    remedy=remedy_for(self._cause(error), remedy),
                    path=str(self.path),
                ) from error

    def _cause(self, error: sqlite3.Error) -> OSError:
        """What the operating system calls an error of SQLite's."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
        if code in _NO_ACCESS:
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644))
            except OSError as cause:
                return cause
        return OSError(_ERRNO.get(code, 0), str(error))


def beside(path: Path) -> tuple[Path, ...]:
    """What SQLite keeps beside a file while it is open."""
    return tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))


@contextmanager
def folder_lock(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Within it no file of the folder is taken away; or, alone, none is opened."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def remove_unused(path: Path) -> bool:
    """Removes the file of a store; False where it is open anywhere, or cannot be removed."""
    with folder_lock(path.parent, alone=True):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            # SQLite leaves the write-ahead log only where nobody else has the file open.
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        except sqlite3.OperationalError:
            return False
        except sqlite3.DatabaseError:
            mode = "delete"  # it is damaged, and of no use to anybody
        finally:
            connection.close()
        if mode != "delete":
            return False
        for each in (path, *beside(path)):
            each.unlink(missing_ok=True)
        return True


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
