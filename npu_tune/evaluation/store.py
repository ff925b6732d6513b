"""The evaluations on disk that studies and comparisons share: one SQLite file per problem."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npu_tune.closing import Closing
from npu_tune.errors import (
    FAILURES,
    CompilerCrashError,
    CompilerTimeoutError,
    EvaluationError,
    StorageError,
    WorkerLostError,
    remedy_for,
)
from npu_tune.evaluation.outcome import Outcome
from npu_tune.files import storage_errors
from npu_tune.targets import Evaluation, Identity
from npu_tune.targets.profiles import pack_profile, unpack_profile
from npu_tune.validation import key_note

SCHEMA_VERSION = 2
"""Of the file. Version 1 kept one answer per key, crashes and time-outs among them."""

BUSY_TIMEOUT_S = 60.0
"""For another process to finish writing; a write takes some microseconds."""

_NOT_A_VERDICT = (WorkerLostError, CompilerCrashError, CompilerTimeoutError)
"""What may be the machine's fault counts in the search that saw it, never for others."""

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


def store_path(folder: Path, identity: Identity) -> Path:
    """Where a folder of stores keeps the evaluations of a problem."""
    return folder / f"{identity.target}-{identity.digest[:16]}.sqlite"


class Store(Closing):
    """What was evaluated already, by the key of a configuration and the number of the sample.

    Any number of processes of one machine may use the same file: SQLite's write-ahead log lets
    them read while one of them writes. The file must not be on a network drive.

    Args:
        path: of the file, which is made; see :func:`store_path`.

    Raises:
        StorageError: if the file cannot be used, or has another schema.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._prepare()

    def find(self, key: str, sample: int = 0) -> Outcome | None:
        """The outcome under this key; None where there is none, or not that many samples."""
        with self._errors():
            row = self._connection.execute(
                "SELECT outcome FROM outcomes WHERE key = ? AND sample = ?", (key, sample)
            ).fetchone()
        return None if row is None else _unpacked(row[0])

    def learn(self, key: str, outcome: Outcome, sample: int = 0) -> None:
        """Keeps an outcome; what says nothing about the configuration is not kept.

        Args:
            key: of the configuration.
            outcome: an evaluation, or what the target always says about the configuration. One
                with more metrics takes the place of one that was made without them; otherwise
                the first one stays.
            sample: number of the evaluation of this configuration; every one is kept.
        """
        if isinstance(outcome.error, _NOT_A_VERDICT):
            return
        packed = _packed(outcome)
        with self._errors():
            added = self._connection.execute(
                "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?)", (key, sample, packed)
            )
        known = None if added.rowcount else self.find(key, sample)
        if known is not None and _says_more(outcome, known):
            with self._errors():
                self._connection.execute(
                    "UPDATE outcomes SET outcome = ? WHERE key = ? AND sample = ?",
                    (packed, key, sample),
                )

    def add_sample(self, key: str, outcome: Outcome) -> None:
        """Keeps an outcome as :meth:`learn` does, beside all samples that are there already."""
        if isinstance(outcome.error, _NOT_A_VERDICT):
            return
        with self._errors():
            self._connection.execute(
                "INSERT INTO outcomes SELECT ?, coalesce(max(sample) + 1, 0), ? "
                "FROM outcomes WHERE key = ?",
                (key, _packed(outcome), key),
            )

    def close(self) -> None:
        self._connection.close()

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StorageError(
                f"The store{key_note('study.store')} {self._path} has the schema version {version}, and this npu-tune "
                f"reads version {SCHEMA_VERSION}.",
                remedy="Remove the file; it is made again.",
                schema_version=version,
            )
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS outcomes "
            "(key TEXT, sample INTEGER, outcome BLOB NOT NULL, PRIMARY KEY (key, sample)) "
            "WITHOUT ROWID"
        )
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        remedy = "Remove the file if it is damaged; it is made again."
        with storage_errors(
            f"The store{key_note('study.store')}", self._path, action="used", remedy=remedy
        ):
            try:
                yield
            except sqlite3.Error as error:
                raise StorageError(
                    f"The store{key_note('study.store')} {self._path} cannot be used: {error}.",
                    remedy=remedy_for(self._cause(error), remedy),
                    path=str(self._path),
                ) from error

    def _cause(self, error: sqlite3.Error) -> OSError:
        """What the operating system calls an error of SQLite's."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
        if code in _NO_ACCESS:
            try:
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644))
            except OSError as cause:
                return cause
        return OSError(_ERRNO.get(code, 0), str(error))


def _says_more(outcome: Outcome, known: Outcome) -> bool:
    """True where one evaluation has all metrics of another, and more."""
    if outcome.evaluation is None or known.evaluation is None:
        return False
    return outcome.evaluation.metrics.keys() > known.evaluation.metrics.keys()


def _packed(outcome: Outcome) -> bytes:
    error, evaluation = outcome.error, outcome.evaluation
    if error is not None or evaluation is None:
        error = error or EvaluationError("The target gave no answer.")
        document: list[Any] = [error.failure, error.message, error.remedy]
    else:
        document = [
            dict(evaluation.metrics),
            pack_profile(evaluation.profile),
            list(evaluation.notes),
            dict(evaluation.spread),
        ]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def _unpacked(blob: bytes) -> Outcome:
    first, second, third, *rest = json.loads(zlib.decompress(blob))
    if isinstance(first, str):
        return Outcome.failed(FAILURES.get(first, EvaluationError)(second, remedy=third))
    return Outcome(Evaluation(first, unpack_profile(second), tuple(third), *rest), None)
