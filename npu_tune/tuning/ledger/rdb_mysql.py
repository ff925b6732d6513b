"""What is particular about Optuna's tables in MySQL and MariaDB."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import func, select

from npu_tune._optuna_compat import rdb_tables

WAITS: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 10,
    "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
    "init_command": "SET SESSION innodb_lock_wait_timeout=5, lock_wait_timeout=5, "
    "wait_timeout=31536000",
}
"""Parameters of PyMySQL, where the URL does not set them: how long to wait for an answer, in
seconds; that nothing is cut off to fit; and that a connection, with its claim, may be idle while
something is evaluated for hours."""

_SCHEMA_LOCK = "npu-tune-tables"
_LOCK_S = 60

_COLLATION = "utf8mb4_bin"
_WIDE = {"text": "LONGTEXT", "mediumtext": "LONGTEXT", "datetime": "DATETIME(6)"}
_COLUMNS = sqlalchemy.text(
    "SELECT table_name, column_name, data_type, datetime_precision, collation_name, is_nullable"
    " FROM information_schema.columns WHERE table_schema = database()"
)


def lock_tables(connection: sqlalchemy.Connection) -> None:
    """Waits for its turn to make the tables; it ends with the connection."""
    connection.execute(select(func.get_lock(_SCHEMA_LOCK, _LOCK_S)))


def fit_tables(connection: sqlalchemy.Connection) -> None:
    """Makes columns of Optuna's tables hold what a trial may be.

    As Optuna makes them, texts end at 65,535 bytes, times at whole seconds, and names that differ
    in case alone are the same. Plain Optuna works with the wider columns as it does with its own;
    tables that fit are left alone.
    """
    narrow: dict[str, list[str]] = {}
    known = rdb_tables()
    for table, column, kind, precision, collation, nullable in connection.execute(_COLUMNS):
        if table not in known or table == "alembic_version":
            continue
        is_narrow = kind in {"text", "mediumtext"} or (kind == "datetime" and precision != 6)
        if collation not in (None, _COLLATION):
            narrow.setdefault(table, [])
        if is_narrow:
            null = "NULL" if nullable == "YES" else "NOT NULL"
            narrow.setdefault(table, []).append(f"MODIFY `{column}` {_WIDE[kind]} {null}")
    for table, changes in narrow.items():
        parts = [f"CONVERT TO CHARACTER SET utf8mb4 COLLATE {_COLLATION}", *changes]
        connection.exec_driver_sql(f"ALTER TABLE `{table}` {', '.join(parts)}")
