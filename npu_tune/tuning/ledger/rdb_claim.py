"""A writer's claim on a study in a database: a named lock, which dies with its connection."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy
from sqlalchemy import func, select

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
    if connection.dialect.name == "mysql":
        asked: Any = select(func.get_lock(_lock_name(connection, name), 0))
    else:
        asked = select(func.pg_try_advisory_lock(_key(name)))
    return bool(connection.execute(asked).scalar())


def is_claimed(connection: sqlalchemy.Connection, name: str) -> bool:
    """Whether some connection has claimed a study."""
    if connection.dialect.name == "mysql":
        asked = select(func.is_used_lock(_lock_name(connection, name)))
        return connection.execute(asked).scalar() is not None
    high, low = divmod(_key(name) % 2**64, 2**32)
    return bool(connection.execute(_IS_CLAIMED, {"high": high, "low": low}).scalar())


def socket_of(connection: sqlalchemy.Connection) -> int:
    """The descriptor of a connection to a server."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "mysql":
        return int(driver._sock.fileno())  # noqa: SLF001 - PyMySQL tells it nowhere else
    return int(driver.fileno())


def _key(name: str) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _lock_name(connection: sqlalchemy.Connection, name: str) -> str:
    """MySQL's locks are the whole server's, and their names have at most 64 characters."""
    database = connection.execute(select(func.database())).scalar()
    digest = hashlib.sha256(f"{database}\0{name}".encode()).hexdigest()
    return f"npu-tune-{digest[:40]}"
