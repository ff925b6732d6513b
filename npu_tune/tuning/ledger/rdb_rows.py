"""Whole trials as rows of Optuna's database tables, and back."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from sqlalchemy import Connection, func, insert, select

from npu_tune._optuna_compat import (
    DistributionTexts,
    InternalParams,
    rdb_tables,
    with_constraint_list,
)
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.rdb_reading import RowReader, without_details
from npu_tune.tuning.ledger.rdb_statement import (
    COLUMNS,
    WholeTrial,
    few_trials_statement,
    in_one_go,
    number_of,
    whole_trial_statement,
)
from npu_tune.tuning.ledger.rdb_values import stored_number, to_utc


class TrialRows:
    """Writes and reads the trials of one study, each table in one statement.

    Optuna itself sends several queries per parameter; this is what makes a trial with hundreds
    of parameters cheap.

    Args:
        study_id: of the study in Optuna's table of studies.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.
    """

    def __init__(self, study_id: int, *, lean: bool = False) -> None:
        self._study_id = study_id
        self._tables = rdb_tables()
        self._texts, self._internal = DistributionTexts(), InternalParams()
        self._reader = RowReader(self._texts, lean=lean)
        self._few = few_trials_statement(
            {table: next(iter(self._tables[table].primary_key)).name for table in COLUMNS}
        )

    def insert(self, connection: Connection, trial: FrozenTrial) -> int:
        """Adds a finished trial in a transaction of its own and returns its number."""
        if connection.dialect.name == "postgresql":
            ready = self.ready(trial)
            with in_one_go(connection) as driver:
                sent = ready.send(driver)
            return number_of(sent)
        with connection.begin():
            trial_id, number = self._insert_trial(connection, trial)
            for table, rows in self._detail_rows(trial).items():
                if rows:
                    whole = [{"trial_id": trial_id, **row} for row in rows]
                    connection.execute(insert(self._tables[table]), whole)
        return number

    def ready(self, trial: FrozenTrial) -> WholeTrial:
        """A finished trial as PostgreSQL takes it."""
        row = self._trial_row(trial)
        row |= {key: str(row[key]) for key in ("datetime_start", "datetime_complete") if row[key]}
        details = {table: rows for table, rows in self._detail_rows(trial).items() if rows}
        arguments: dict[str, Any] = {table: json.dumps(rows) for table, rows in details.items()}
        arguments |= {
            "study": self._study_id,
            "row": json.dumps(row | {"state": trial.state.name}),
        }
        statement = whole_trial_statement(
            {table: list(rows[0]) for table, rows in details.items()}, row
        )
        return WholeTrial(statement, arguments)

    def find(self, connection: Connection, trial: FrozenTrial) -> int | None:
        """The number of the trial that began and ended at the very times that this one did."""
        trials = self._tables["trials"]
        query = select(trials.c.number).where(
            trials.c.study_id == self._study_id,
            trials.c.datetime_start == to_utc(trial.datetime_start),
            trials.c.datetime_complete == to_utc(trial.datetime_complete),
        )
        with connection.begin():
            number: int | None = connection.execute(query).scalar()
        return number

    def select(
        self,
        connection: Connection,
        first: int = 0,
        until: int | None = None,
        *,
        without: Container[int] = (),
    ) -> list[FrozenTrial]:
        """The trials of the study, in the order of their numbers.

        Args:
            connection: to the database.
            first: the number of the first one.
            until: the number behind the last one; None for all.
            without: numbers of trials to leave out.

        Raises:
            StorageError: if a trial's rows make no sense; names the trial.
        """
        trials = self._tables["trials"]
        query = select(trials).where(trials.c.study_id == self._study_id)
        if first > 0 or until is not None:
            last = _LARGEST if until is None else until - 1
            query = query.where(trials.c.number.between(first, last))
        found = {
            row.trial_id: without_details(
                row.trial_id, row.number, row.state, row.datetime_start, row.datetime_complete
            )
            for row in connection.execute(query.order_by(trials.c.trial_id))
            if row.number not in without
        }
        return self._reader.whole(
            found, lambda table: self._details(connection, table, list(found))
        )

    def select_few(
        self, connection: Connection, first: int, until: int | None
    ) -> list[FrozenTrial]:
        """The same of PostgreSQL, whose answer comes in one go and is in memory all at once."""
        last = _LARGEST if until is None else until - 1
        arguments = {"study": self._study_id, "first": first, "last": last}
        with in_one_go(connection) as driver:
            cursor = driver.execute(self._few, arguments)
        rows = cursor.fetchall()
        found = {row[0]: without_details(*row[:5]) for row in rows}
        details = {
            table: [detail for row in rows for detail in row[at] or ()]
            for at, table in enumerate(COLUMNS, start=5)
        }
        return self._reader.whole(found, details.__getitem__)

    def _insert_trial(self, connection: Connection, trial: FrozenTrial) -> tuple[int, int]:
        trials = self._tables["trials"]
        if connection.dialect.name == "mysql":
            return self._insert_trial_in_turn(connection, trial)
        last = (
            select(trials.c.number)
            .where(trials.c.study_id == self._study_id)
            .order_by(trials.c.trial_id.desc())
            .limit(1)
            .scalar_subquery()
        )
        statement = (
            insert(trials)
            .values(number=func.coalesce(last + 1, 0), **self._trial_row(trial))
            .returning(trials.c.trial_id, trials.c.number)
        )
        trial_id, number = connection.execute(statement).one()
        return trial_id, number

    def _insert_trial_in_turn(self, connection: Connection, trial: FrozenTrial) -> tuple[int, int]:
        """The same for MySQL, which reads no table in a statement that writes it."""
        trials, studies = self._tables["trials"], self._tables["studies"]
        own = studies.c.study_id == self._study_id
        # Other writers of this study wait here, so that no number is given twice.
        connection.execute(select(studies.c.study_id).where(own).with_for_update())
        last = (
            select(trials.c.number)
            .where(trials.c.study_id == self._study_id)
            .order_by(trials.c.trial_id.desc())
            .limit(1)
        )
        found = connection.execute(last).scalar()
        number = 0 if found is None else found + 1
        statement = insert(trials).values(number=number, **self._trial_row(trial))
        key = connection.execute(statement).inserted_primary_key
        if key is None:
            raise StorageError("The database gave the trial no number.")
        return int(key[0]), number

    def _trial_row(self, trial: FrozenTrial) -> dict[str, Any]:
        return {
            "study_id": self._study_id,
            "state": trial.state,
            "datetime_start": to_utc(trial.datetime_start),
            "datetime_complete": to_utc(trial.datetime_complete),
        }

    def _detail_rows(self, trial: FrozenTrial) -> dict[str, list[dict[str, Any]]]:
        return {
            "trial_values": [
                {"objective": index, **stored_number("value", value)}
                for index, value in enumerate(trial.values or ())
            ],
            "trial_params": [
                {
                    "param_name": name,
                    "param_value": value,
                    "distribution_json": self._texts.write(trial.distributions[name]),
                }
                for name, value in self._internal.of(trial).items()
            ],
            "trial_user_attributes": _attributes(trial.user_attrs),
            "trial_system_attributes": _attributes(with_constraint_list(trial.system_attrs)),
            "trial_intermediate_values": [
                {"step": step, **stored_number("intermediate_value", value)}
                for step, value in trial.intermediate_values.items()
            ],
        }

    def _details(
        self, connection: Connection, table: str, trial_ids: Sequence[int]
    ) -> Iterator[Any]:
        """The rows of a table that belong to some trials, which are in order, trial by trial.

        Among them may be some of trials that another study got in between.
        """
        if not trial_ids:
            return
        details, first, last = self._tables[table], trial_ids[0], trial_ids[-1]
        query = (
            select(details.c.trial_id, *(details.c[column] for column in COLUMNS[table]))
            .where(details.c.trial_id.between(first, last))
            .order_by(details.c.trial_id, next(iter(details.primary_key)))
        )
        # A few rows come faster all at once.
        options = {"yield_per": _AT_ONCE} if len(trial_ids) > 100 else {}
        for some in connection.execute(query, execution_options=options).partitions(_AT_ONCE):
            yield from some


_AT_ONCE = 1_000
"""Rows that are fetched at once."""

_LARGEST = 2**31 - 1
"""Of the numbers that Optuna's tables hold."""


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Attributes may be mappings of any kind.
    return [
        {"key": key, "value_json": json.dumps(v, default=dict)} for key, v in attributes.items()
    ]
