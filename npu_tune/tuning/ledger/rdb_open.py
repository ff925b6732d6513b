"""Opening Optuna's database tables, so that a server that does not answer holds nobody up."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy import Column, Integer, Text
from sqlalchemy.schema import CreateTable

from npu_tune._optuna_compat import METRIC_NAMES_KEY, quiet_creation
from npu_tune.errors import StorageError
from npu_tune.files import storage_errors
from npu_tune.tuning.ledger import rdb_mysql
from npu_tune.tuning.ledger.address import SQLITE_MARK

_SCHEMA_LOCK = 0x6E70755F74756E65
"""The PostgreSQL advisory lock under which the tables are made, so that it happens once."""

BOARDS = sqlalchemy.Table(
    "npu_tune_drivers",
    sqlalchemy.MetaData(),
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("board", Text, nullable=False),
)
"""What the drivers of each study agree on; a study with one driver has no row."""

_WAITS = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "options": "-c lock_timeout=5s"}
"""Parameters of libpq, where the URL does not set them: how long to wait for an answer."""

for _library in ("sqlalchemy", "psycopg", "redis"):
    # What they log of a broken connection reaches whoever asks for it, and nobody else: this
    # package says it in its own words.
    logging.getLogger(_library).addHandler(logging.NullHandler())


def check_sqlite_file(path: Path) -> None:
    """Checks that a file may be opened as a database; one that is not there or empty may.

    Raises:
        StorageError: if it holds something else.
    """
    if not path.exists():
        return
    with storage_errors("The storage", path, action="read"), path.open("rb") as file:
        mark = file.read(len(SQLITE_MARK))
    if mark not in (b"", SQLITE_MARK):
        raise StorageError(
            f"The storage {path} is no SQLite database.",
            remedy="Name another file, or the path alone if it is a journal file.",
            path=str(path),
        )


def open_sqlite(url: sqlalchemy.URL, *, read_only: bool) -> RDBStorage | None:
    """Opens a database file, with a write-ahead log where it may be written.

    Returns:
        None where it has no tables and may not be written.
    """
    if read_only:
        engine = sqlalchemy.create_engine(url)
        try:
            if not sqlalchemy.inspect(engine).has_table("studies"):
                return None
        finally:
            engine.dispose()
    storage = _storage(url)
    if not read_only:
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def open_server(url: sqlalchemy.URL, *, create: bool, read_only: bool) -> RDBStorage | None:
    """Opens a database of a server; None where it has no tables and none are to be made."""
    is_mysql = url.get_backend_name() == "mysql"
    all_waits = rdb_mysql.WAITS if is_mysql else _WAITS
    waits = {name: value for name, value in all_waits.items() if name not in url.query}
    engine = sqlalchemy.create_engine(url, connect_args=waits)
    try:
        with engine.connect() as connection, connection.begin():
            # Processes that find an empty database at once make its tables in turn.
            if is_mysql:
                rdb_mysql.lock_tables(connection)
            else:
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                connection.execute(
                    sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_SCHEMA_LOCK))
                )
            if not create and not sqlalchemy.inspect(connection).has_table("studies"):
                return None
            if create and not is_mysql:
                connection.execute(CreateTable(BOARDS, if_not_exists=True))
            storage = _storage(url, {"connect_args": waits})
            if is_mysql and not read_only:
                rdb_mysql.fit_tables(connection)
            return storage
    finally:
        engine.dispose()


def _storage(url: sqlalchemy.URL, options: dict[str, Any] | None = None) -> RDBStorage:
    """Optuna's storage. Raises StorageError where its tables are of another version."""
    try:
        return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
    except RuntimeError as error:
        place = url.render_as_string(hide_password=True)
        if "schema" not in str(error):
            raise
        raise StorageError(
            f"Optuna's tables in {place} are of another version than this Optuna wants.",
            remedy=f"`optuna storage upgrade --storage {place}` makes older ones new.",
            place=place,
        ) from error


def create_study(
    storage: RDBStorage,
    name: str,
    directions: Sequence[StudyDirection],
    metric_names: Sequence[str],
) -> int:
    """Makes a study, unless another process is faster, and names its objectives; returns its id."""
    try:
        with quiet_creation():
            study_id = storage.create_new_study(directions, name)
    except optuna.exceptions.DuplicatedStudyError:
        study_id = storage.get_study_id_from_name(name)
    if metric_names:
        storage.set_study_system_attr(study_id, METRIC_NAMES_KEY, list(metric_names))
    return study_id


def merge_write_ahead_log(storage: RDBStorage) -> None:
    """Makes a database file of SQLite alone the whole study again, fit to be copied."""
    with (
        contextlib.suppress(sqlalchemy.exc.SQLAlchemyError),
        storage.engine.connect() as connection,
    ):
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def append_by_optuna(storage: RDBStorage, study_id: int, trial: FrozenTrial) -> int:
    """Writes a finished trial into tables of a schema that is not known; returns its number."""
    plain = copy.copy(trial)
    plain.user_attrs = json.loads(json.dumps(trial.user_attrs, default=dict))
    trial_id = storage.create_new_trial(study_id, template_trial=plain)
    return storage.get_trial_number_from_id(trial_id)
