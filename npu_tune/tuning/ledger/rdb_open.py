"""Opening Optuna's database tables, so that a server that does not answer holds nobody up."""

from __future__ import annotations

import logging

import sqlalchemy
from optuna.storages import RDBStorage

_SCHEMA_LOCK = 0x6E70755F74756E65
"""The PostgreSQL advisory lock under which the tables are made, so that it happens once."""

_WAITS = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "options": "-c lock_timeout=5s"}
"""Parameters of libpq, where the URL does not set them: how long to wait for an answer."""

for _library in ("sqlalchemy", "psycopg"):
    # What they log of a broken connection reaches whoever asks for it, and nobody else: this
    # package says it in its own words.
    logging.getLogger(_library).addHandler(logging.NullHandler())


def open_sqlite(url: sqlalchemy.URL, *, read_only: bool) -> RDBStorage:
    """Opens a database file, with a write-ahead log where it may be written."""
    storage = RDBStorage(url.render_as_string(hide_password=False))
    if not read_only:
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def open_server(url: sqlalchemy.URL, *, create: bool) -> RDBStorage | None:
    """Opens a database of PostgreSQL; None where it has no tables and none are to be made."""
    waits = {name: value for name, value in _WAITS.items() if name not in url.query}
    engine = sqlalchemy.create_engine(url, connect_args=waits)
    try:
        with engine.connect() as connection, connection.begin():
            # Processes that find an empty database at once make its tables in turn.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(
                sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_SCHEMA_LOCK))
            )
            if not create and not sqlalchemy.inspect(connection).has_table("studies"):
                return None
            return RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": waits},
            )
    finally:
        engine.dispose()
