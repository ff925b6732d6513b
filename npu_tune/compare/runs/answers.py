"""The answers that the runs of a comparison share: one SQLite file per network and target."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npu_tune.closing import Closing
from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    CompilerTimeoutError,
    EvaluationError,
    IllegalConfigurationError,
    InaccurateOutputError,
    StorageError,
    WorkerLostError,
)
from npu_tune.targets import Evaluation
from npu_tune.tuning.attributes import pack_profile, unpack_profile

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 60.0
"""For another process to finish writing; a write takes some microseconds."""

Answer = Evaluation | EvaluationError

_FAILURES = {
    kind.failure: kind
    for kind in (
        EvaluationError,
        IllegalConfigurationError,
        CompilerError,
        CompilerCrashError,
        CompilerTimeoutError,
        InaccurateOutputError,
    )
}


def answers_path(
    folder: Path, *, target: str, model_sha256: str, fingerprint: Mapping[str, str]
) -> Path:
    """Where a comparison keeps the answers of a target about a network."""
    text = json.dumps([model_sha256, target, dict(fingerprint)], sort_keys=True)
    return folder / f"{target}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.sqlite"


class SharedAnswers(Closing):
    """What was evaluated already, by the key of :class:`npu_tune.tuning.cache.EvaluationKeys`.

    Any number of processes of one machine may use the same file: SQLite's write-ahead log lets
    them read while one of them writes. The file must not be on a network drive.

    Args:
        path: of the file, which is made.
        keep: False leaves out everything but crashes and timeouts, which are always kept so that
            no configuration can bring down worker after worker.

    Raises:
        StorageError: if the file cannot be used, or has another schema.
    """

    def __init__(self, path: Path, *, keep: bool = True) -> None:
        self._path = path
        self._keep = keep
        with self._storage_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._prepare()

    def find(self, key: str) -> Answer | None:
        """The answer under this key."""
        with self._storage_errors():
            row = self._connection.execute(
                "SELECT answer FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else _unpacked(row[0])

    def learn(self, key: str, answer: Answer) -> None:
        """Keeps an answer; what says nothing about the configuration is not kept."""
        lasting = isinstance(answer, CompilerCrashError | CompilerTimeoutError)
        if isinstance(answer, WorkerLostError) or not (self._keep or lasting):
            return
        with self._storage_errors():
            self._connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, _packed(answer))
            )

    def close(self) -> None:
        self._connection.close()

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StorageError(
                f"The shared answers {self._path} have the schema version {version}, and this "
                f"npu-tune reads version {SCHEMA_VERSION}.",
                remedy="Remove the file; it is made again.",
                schema_version=version,
            )
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS answers "
            "(key TEXT PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID"
        )
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"The shared answers {self._path} cannot be used: {error}.",
                remedy="Free some space, or remove the file if it is damaged; it is made again.",
                path=str(self._path),
            ) from error


def _packed(answer: Answer) -> bytes:
    if isinstance(answer, EvaluationError):
        document: list[Any] = [answer.failure, answer.message, answer.remedy]
    else:
        document = [dict(answer.metrics), pack_profile(answer.profile), list(answer.notes)]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def _unpacked(blob: bytes) -> Answer:
    first, second, third = json.loads(zlib.decompress(blob))
    if isinstance(first, str):
        return _FAILURES.get(first, EvaluationError)(second, remedy=third)
    return Evaluation(first, unpack_profile(second), tuple(third))
