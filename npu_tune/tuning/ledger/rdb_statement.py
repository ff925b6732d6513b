"""The statements by which PostgreSQL takes a whole trial, and gives a few, each in one go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

COLUMNS = {
    "trial_values": ("objective", "value", "value_type"),
    "trial_params": ("param_name", "param_value", "distribution_json"),
    "trial_intermediate_values": ("step", "intermediate_value", "intermediate_value_type"),
    "trial_user_attributes": ("key", "value_json"),
    "trial_system_attributes": ("key", "value_json"),
}
"""What is read of the tables that belong to a trial."""


def few_trials_statement(keys: Mapping[str, str]) -> str:
    """PostgreSQL's statement that reads trials, each in a row with all that belongs to it as JSON.

    Args:
        keys: by table of :data:`COLUMNS`, the one of its columns by which rows are in order.
    """
    parts = [
        f"(SELECT json_agg(json_build_array(d.trial_id, {', '.join(f'd.{c}' for c in names)})"  # noqa: S608 - Optuna's own names
        f" ORDER BY d.{keys[table]}) FROM {table} d WHERE d.trial_id = t.trial_id)"
        for table, names in COLUMNS.items()
    ]
    return (
        "SELECT t.trial_id, t.number, t.state, t.datetime_start, t.datetime_complete, "  # noqa: S608 - likewise
        f"{', '.join(parts)} FROM trials t WHERE t.study_id = %(study)s"
        " AND t.number BETWEEN %(first)s AND %(last)s ORDER BY t.trial_id"
    )


def whole_trial_statement(details: Mapping[str, Sequence[str]], row: Mapping[str, Any]) -> str:
    """PostgreSQL's statement that adds a trial with all that belongs to it, given as JSON.

    Args:
        details: columns by table.
        row: of the table of trials, without its number.
    """
    columns = ", ".join(row)
    new = (
        f"new AS (INSERT INTO trials (number, {columns})"  # noqa: S608 - Optuna's own names
        " SELECT coalesce((SELECT number + 1 FROM trials WHERE study_id = %(study)s"
        f" ORDER BY trial_id DESC LIMIT 1), 0), {columns}"
        " FROM json_populate_record(NULL::trials, %(row)s) RETURNING trial_id, number)"
    )
    parts = [new]
    for table, names in details.items():
        listed = ", ".join(names)
        parts.append(
            f"{table}_ AS (INSERT INTO {table} (trial_id, {listed})"  # noqa: S608 - likewise
            f" SELECT (SELECT trial_id FROM new), {listed}"
            f" FROM json_populate_recordset(NULL::{table}, %({table})s))"
        )
    return f"WITH {', '.join(parts)} SELECT number FROM new"  # noqa: S608 - likewise


@dataclass(frozen=True)
class WholeTrial:
    """A trial as PostgreSQL takes it, ready to be sent.

    Args:
        statement: as of :func:`whole_trial_statement`.
        arguments: of it.
    """

    statement: str
    arguments: Mapping[str, Any]

    def send(self, driver: Any) -> Any:
        """Adds the trial in a transaction of :func:`in_one_go`; gives what :func:`number_of` takes."""
        # Other writers of this study wait here, so that no number is given twice.
        lock = "SELECT 1 FROM studies WHERE study_id = %(study)s FOR UPDATE"
        driver.execute(lock, {"study": self.arguments["study"]})
        return driver.execute(self.statement, self.arguments)


def number_of(sent: Any) -> int:
    """The number of a trial that was sent, once its transaction has ended."""
    return int(sent.fetchone()[0])


@contextlib.contextmanager
def in_one_go(connection: Connection) -> Iterator[Any]:
    """A transaction by psycopg itself, which sends all its statements at once.

    Yields:
        Psycopg's connection. An answer that is asked for in between is waited for.

    Raises:
        OperationalError: if anything fails.
    """
    driver: Any = connection.connection.driver_connection
    dbapi: Any = connection.dialect.dbapi
    try:
        with driver.pipeline(), driver.transaction():
            yield driver
    except dbapi.Error as error:
        raise OperationalError(None, None, error) from error
