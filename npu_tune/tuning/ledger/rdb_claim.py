"""A writer's claim on a study in a database: a named lock, which dies with its connection."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, func, select

_CLAIMS = sqlalchemy.text(
    """
    SELECT count(DISTINCT pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = :high AND objid = :low
    """
)
"""A lock on one number of 64 bits is listed in two halves (PostgreSQL's manual, `pg_locks`)."""


def claim(connection: Connection, name: str, *, beside: bool = False) -> bool:
    """Claims a study for as long as the connection lasts; False where that is not possible.

    Args:
        connection: to the database.
        name: of the study.
        beside: True to claim it beside others, who must have done so, too; on PostgreSQL alone.
    """
    if connection.dialect.name == "mysql":
        asked: Any = select(func.get_lock(_lock_name(connection, name), 0))
    else:
        lock = func.pg_try_advisory_lock_shared if beside else func.pg_try_advisory_lock
        asked = select(lock(_key(name)))
    return bool(connection.execute(asked).scalar())


def release(connection: Connection, name: str, *, beside: bool = False) -> None:
    """Ends such a claim."""
    unlock = func.pg_advisory_unlock_shared if beside else func.pg_advisory_unlock
    connection.execute(select(unlock(_key(name))))


def knock(connection: Connection, name: str) -> None:
    """Says that this connection waits to claim a study beside others, until :func:`enter`."""
    connection.execute(select(func.pg_advisory_lock_shared(_key(_door(name)))))


def enter(connection: Connection, name: str) -> None:
    """Ends a :func:`knock`."""
    connection.execute(select(func.pg_advisory_unlock_shared(_key(_door(name)))))


def is_knocked(connection: Connection, name: str) -> bool:
    """Whether some connection waits to claim a study beside others."""
    return claims(connection, _door(name)) > 0


def claims(connection: Connection, name: str) -> int:
    """How many connections have claimed a study."""
    if connection.dialect.name == "mysql":
        asked = select(func.is_used_lock(_lock_name(connection, name)))
        return int(connection.execute(asked).scalar() is not None)
    high, low = divmod(_key(name) % 2**64, 2**32)
    return int(connection.execute(_CLAIMS, {"high": high, "low": low}).scalar() or 0)


def _door(name: str) -> str:
    return f"{name}\0door"


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
