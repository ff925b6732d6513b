"""The evaluations on disk that studies and comparisons share: one SQLite file per problem."""

from __future__ import annotations

import json
import random
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from npu_tune.closing import Closing
from npu_tune.evaluation.outcome import Outcome
from npu_tune.evaluation.store_file import BUSY_TIMEOUT_S, SCHEMA_VERSION, StoreFile
from npu_tune.evaluation.stored_outcome import (
    StoredOutcome,
    checksum,
    is_verdict,
    pack_outcome,
    says_more,
    unpack_outcome,
)
from npu_tune.space import Value
from npu_tune.targets import Identity

USED_AGAIN_S = 86_400
"""A row's time of use is written at most once a day, so that reading hardly ever writes."""

_ONE = (
    "SELECT key, sample, outcome, checksum, used FROM outcomes "
    "WHERE key = ? AND sample = ? AND machine = ?"
)
_ALL = (
    "SELECT key, sample, outcome, checksum, used FROM outcomes "
    "WHERE machine = ? ORDER BY key, sample"
)
_USE = "UPDATE outcomes SET used = ? WHERE key = ? AND sample = ? AND machine = ?"
_DROP = "DELETE FROM outcomes WHERE key = ? AND sample = ? AND machine = ?"
_FORGET = (
    "DELETE FROM outcomes WHERE (key, sample, machine) IN "
    "(SELECT key, sample, machine FROM outcomes WHERE used < ? ORDER BY used LIMIT ?)"
)


def store_path(folder: Path, identity: Identity) -> Path:
    """Where a folder of stores keeps the evaluations of a problem."""
    return folder / f"{identity.target}-{identity.digest[:16]}.v{SCHEMA_VERSION}.sqlite"


class Store(Closing):
    """What was evaluated already, by the key of a configuration and the number of the sample.

    Any number of processes of one machine may use the same file: SQLite's write-ahead log lets
    them read while one of them writes. The file must not be on a network drive. A row that is
    damaged is dropped, and a file that is damaged set aside and made anew, each with a warning.

    Args:
        path: of the file, which is made; see :func:`store_path`.
        timeout_s: how long another process may write meanwhile.
        machine: that samples belong to, where evaluations differ; "" where they do not.

    Raises:
        StorageError: if the file cannot be used, or has another schema.
    """

    def __init__(
        self, path: Path, *, timeout_s: float = BUSY_TIMEOUT_S, machine: str = ""
    ) -> None:
        self._file = StoreFile(path, timeout_s=timeout_s)
        self._machine = machine
        self._used: set[tuple[str, int]] = set()

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def find(self, key: str, sample: int = 0) -> Outcome | None:
        """The outcome under this key; None where there is none, or not that many samples."""
        found = self.row(key, sample)
        return None if found is None else found.outcome

    def row(self, key: str, sample: int = 0) -> StoredOutcome | None:
        """The same with all that is kept of it."""
        return next(self._rows(_ONE, key, sample), None)

    def rows(self) -> Iterator[StoredOutcome]:
        """All outcomes of this machine, or of all where they do not differ, in order of keys."""
        return self._rows(_ALL)

    def draw(self, count: int, *, seed: int) -> list[StoredOutcome]:
        """A random sample of the rows, without those that belong to a machine.

        Args:
            count: how many at most.
            seed: of the drawing; the same one draws the same rows of the same file.
        """
        ask = "SELECT key, sample FROM outcomes WHERE machine = ? ORDER BY key, sample"
        known = self._file.use(lambda c: c.execute(ask, (self._machine,)).fetchall())
        chosen = random.Random(seed).sample(known, min(count, len(known)))  # noqa: S311
        return [row for each in chosen if (row := self.row(*each)) is not None]

    def learn(
        self,
        key: str,
        outcome: Outcome,
        sample: int = 0,
        *,
        changes: Mapping[str, Value] | None = None,
    ) -> None:
        """Keeps an outcome at once; see :meth:`learn_all`.

        Args:
            key: of the configuration.
            outcome: an evaluation, or what the target always says about the configuration.
            sample: number of the evaluation of this configuration; every one is kept.
            changes: of the configuration against the default.
        """
        self.learn_all([StoredOutcome(key, outcome, sample, changes or {})])

    def learn_all(self, rows: Iterable[StoredOutcome], *, add: bool = False) -> None:
        """Keeps outcomes, in one write; what says nothing about its configuration is not kept.

        One with more metrics takes the place of one that was made without them; otherwise the
        first one stays.

        Args:
            rows: in the order in which they came.
            add: True to keep them beside all samples that there are of the same configuration.
        """
        kept = [(row, pack_outcome(row)) for row in rows if is_verdict(row.outcome)]
        if not kept and not self._used:
            return
        now = int(time.time())
        seen = list(self._used)  # to which other threads may add meanwhile
        used = [(now, key, sample, self._machine) for key, sample in seen]

        def write(connection: sqlite3.Connection) -> None:
            for row, blob in kept:
                self._write(connection, row, blob, now=now, add=add)
            connection.executemany(_USE, used)

        self._file.write(write)
        self._used.difference_update(seen)

    def drop(self, key: str, sample: int = 0) -> None:
        """Forgets an outcome."""
        where = (key, sample, self._machine)
        self._file.use(lambda c: c.execute(_DROP, where))

    def describe(self, about: Mapping[str, Any]) -> None:
        """Writes down what the file's problem is, as JSON."""
        if self.about() == about:
            return
        rows = [(name, json.dumps(value)) for name, value in about.items()]
        self._file.write(
            lambda c: c.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", rows).close()
        )

    def about(self) -> dict[str, Any]:
        """What :meth:`describe` wrote; empty where nothing was."""
        ask = "SELECT name, value FROM about"
        rows = self._file.use(lambda c: c.execute(ask).fetchall())
        return {name: json.loads(value) for name, value in rows}

    def count(self) -> int:
        """How many outcomes are kept, of all machines."""
        ask = "SELECT count(*) FROM outcomes"
        return int(self._file.use(lambda c: c.execute(ask).fetchone()[0]))

    def forget(self, *, share: float = 1.0, before: float | None = None) -> int:
        """Drops what was not used longest, and gives its room back; returns how many rows.

        Args:
            share: of the rows, from 0 to 1.
            before: only those that were last used before, in seconds since the epoch.
        """
        before = time.time() + 1 if before is None else before
        most = int(self.count() * share + 0.5)

        def work(connection: sqlite3.Connection) -> int:
            gone = connection.execute(_FORGET, (before, most)).rowcount
            # One step of it, which is all that `execute` makes, frees one page.
            connection.executescript("PRAGMA incremental_vacuum")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return gone

        return self._file.use(work)

    def close(self) -> None:
        self._file.close()

    def _rows(self, ask: str, *values: Any) -> Iterator[StoredOutcome]:
        values = (*values, self._machine)
        now = time.time()
        for key, sample, blob, check, used in self._file.use(
            lambda c: c.execute(ask, values).fetchall()
        ):
            row = None
            if checksum(key, sample, self._machine, blob) == check:
                row = _unpacked(key, sample, blob)
            if row is None:
                self._file.warn("holds a damaged row, which is dropped")
                self.drop(key, sample)
                continue
            if now - used > USED_AGAIN_S:
                self._used.add((key, sample))
            yield row

    def _write(
        self,
        connection: sqlite3.Connection,
        row: StoredOutcome,
        blob: bytes,
        *,
        now: int,
        add: bool,
    ) -> None:
        key, sample, machine = row.key, row.sample, self._machine
        if add:
            ask = "SELECT coalesce(max(sample) + 1, 0) FROM outcomes WHERE key = ? AND machine = ?"
            sample = connection.execute(ask, (key, machine)).fetchone()[0]
        values = (key, sample, machine, blob, checksum(key, sample, machine, blob), now)
        learn = "INTO outcomes VALUES (?, ?, ?, ?, ?, ?)"
        if connection.execute(f"INSERT OR IGNORE {learn}", values).rowcount:
            return
        known = self.find(key, sample)
        if known is None or says_more(row.outcome, known):
            connection.execute(f"INSERT OR REPLACE {learn}", values)


def _unpacked(key: str, sample: int, blob: bytes) -> StoredOutcome | None:
    """A row as it is; None where it makes no sense."""
    try:
        return unpack_outcome(key, sample, blob)
    except (ValueError, LookupError, TypeError, zlib.error):
        return None
