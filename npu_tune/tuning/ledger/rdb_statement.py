"""The one statement by which PostgreSQL takes a whole trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


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
