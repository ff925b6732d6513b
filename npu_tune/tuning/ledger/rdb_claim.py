"""A writer's claim on a study in PostgreSQL: an advisory lock, which dies with its connection."""

from __future__ import annotations

import hashlib

import sqlalchemy

_IS_CLAIMED = sqlalchemy.text(
    """
    SELECT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = :high AND objid = :low
    )
    """
)
"""A lock on one number of 64 bits is listed in two halves (PostgreSQL's manual, `pg_locks`)."""


def claim(connection: sqlalchemy.Connection, name: str) -> bool:
    """Claims a study for as long as the connection lasts; False where another one has it."""
    asked = sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(_key(name)))
    return bool(connection.execute(asked).scalar())


def is_claimed(connection: sqlalchemy.Connection, name: str) -> bool:
    """Whether some connection has claimed a study."""
    high, low = divmod(_key(name) % 2**64, 2**32)
    return bool(connection.execute(_IS_CLAIMED, {"high": high, "low": low}).scalar())


def _key(name: str) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
