"""Optuna's tables as a patient: in SQLite, PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import delete, select, update

from npu_tune._optuna_compat import RDB_REVISION, rdb_tables, storage_id
from npu_tune.closing import Closing
from npu_tune.errors import StorageError
from npu_tune.files import storage_errors, write_whole
from npu_tune.tuning.doctor.boards import board_findings
from npu_tune.tuning.doctor.findings import Finding, free_backup_name
from npu_tune.tuning.doctor.journals import being_written
from npu_tune.tuning.ledger.lock import WriterLock, is_locked
from npu_tune.tuning.ledger.outage import SERVER_OR_DISK, outage
from npu_tune.tuning.ledger.rdb_claim import claim, claims
from npu_tune.tuning.ledger.rdb_open import BOARDS, check_sqlite_file
from npu_tune.tuning.ledger.rdb_rows import TrialRows

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_DETAILS = (
    "trial_values",
    "trial_params",
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
    "trial_heartbeats",
)


class DatabasePatient(Closing):
    """A study in Optuna's tables.

    Args:
        url: of the database.
        name: of the study; None for the only one.
        claim: keep writers away, to repair.
    """

    def __init__(self, url: sqlalchemy.URL, *, name: str | None, claim: bool) -> None:
        self._place = url.render_as_string(hide_password=True)
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self._lock: WriterLock | None = None
        self._damaged: list[int] = []
        self._renumbered = False
        self._trials: list[FrozenTrial] = []
        self.findings: list[Finding] = []
        if self._file is not None:
            if not self._file.is_file():
                raise StorageError(f"There is no database {self._file}.", remedy="Check the path.")
            check_sqlite_file(self._file)
            if claim:
                self._lock = WriterLock(self._file)
            elif is_locked(self._file):
                raise being_written(str(self._file))
        self._engine = sqlalchemy.create_engine(url)
        try:
            with self._errors():
                self._connection = self._engine.connect()
                self._look(name, claim_it=claim)
        except BaseException:
            self.close()
            raise

    def _look(self, name: str | None, *, claim_it: bool) -> None:
        tables = rdb_tables()
        connection = self._connection
        if not sqlalchemy.inspect(connection).has_table("studies"):
            raise StorageError(f"There are no studies in {self._place}.", remedy="Check it.")
        if self._file is not None:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if said != "ok":
                what = f"The database {self._file} is damaged: {said}."
                remedy = "Restore it from a backup, or try SQLite's own `.recover`."
                self.findings.append(Finding("damaged file", what, remedy, repairable=False))
        self._check_version()
        studies = tables["studies"]
        rows = connection.execute(select(studies.c.study_name, studies.c.study_id))
        self._ids: dict[str, int] = {row[0]: row[1] for row in rows}
        self.names = list(self._ids)
        name = name or (self.names[0] if len(self.names) == 1 else None)
        if name is None or name not in self._ids:
            return
        if self._file is None:
            is_free = claim(connection, name) if claim_it else claims(connection, name) == 0
            if not is_free:
                raise being_written(f"{name!r} in {self._place}")
        self._read(self._ids[name])
        if sqlalchemy.inspect(connection).has_table(BOARDS.name):
            own = select(BOARDS.c.board).where(BOARDS.c.study_id == self._ids[name])
            self.findings += board_findings(connection.execute(own).scalar())

    def _check_version(self) -> None:
        """Optuna's tables say in a table of their own by which migration they were made."""
        version = self._connection.exec_driver_sql(
            "SELECT version_num FROM alembic_version"
        ).scalar()
        if version != RDB_REVISION:
            what = f"Optuna's tables are of version {version}, and {RDB_REVISION} is wanted."
            remedy = "`optuna storage upgrade --storage URL` makes older ones new."
            self.findings.append(Finding("schema version", what, remedy, repairable=False))

    def _read(self, study_id: int) -> None:
        rows = TrialRows(study_id)
        while True:
            try:
                self._trials = rows.select(self._connection, without=self._damaged)
            except StorageError as error:
                number = error.data["trial"]
                self._damaged.append(number)
                lost = "It is deleted; it is lost."
                self.findings.append(Finding("damaged record", error.message, lost))
            else:
                break
        numbers = [trial.number for trial in self._trials]
        expected = [n for n in range(len(numbers) + len(self._damaged)) if n not in self._damaged]
        self._renumbered = numbers != expected
        if self._renumbered:
            what = f"The trials of the study are not numbered from 0 to {len(numbers) - 1}."
            self.findings.append(Finding("gap in numbers", what, "They are numbered anew."))

    def trials(self, name: str) -> list[FrozenTrial]:  # noqa: ARG002 - it is read once
        return self._trials

    def attributes(self, name: str) -> dict[str, Any]:
        table = rdb_tables()["study_user_attributes"]
        query = select(table.c.key, table.c.value_json)
        with self._errors():
            found = self._connection.execute(query.where(table.c.study_id == self._ids[name]))
            return {key: json.loads(text) for key, text in found}

    def back_up(self, folder: Path) -> Path:
        """SQLite's by its own means; of a server's tables a file with a row of JSON per row."""
        if self._file is not None:
            backup = free_backup_name(self._file)
            with (
                storage_errors("The backup", backup),
                contextlib.closing(sqlite3.connect(self._file)) as source,
                contextlib.closing(sqlite3.connect(backup)) as copy,
            ):
                source.backup(copy)
            return backup
        backup = free_backup_name(folder / "database.jsonl")
        with storage_errors("The backup", backup), self._errors():
            write_whole(backup, "".join(self._rows()).encode())
        return backup

    def repair(self, name: str) -> None:
        tables, study_id = rdb_tables(), self._ids[name]
        trials = tables["trials"]
        own = trials.c.study_id == study_id
        with self._errors():
            self._connection.commit()
            with self._connection.begin():
                if sqlalchemy.inspect(self._connection).has_table(BOARDS.name):
                    self._connection.execute(delete(BOARDS).where(BOARDS.c.study_id == study_id))
                lost = own & trials.c.number.in_(self._damaged)
                ids = [
                    row[0]
                    for row in self._connection.execute(select(trials.c.trial_id).where(lost))
                ]
                for table in (*_DETAILS, "trials"):
                    if ids:
                        column = tables[table].c.trial_id
                        self._connection.execute(delete(tables[table]).where(column.in_(ids)))
                if self._damaged or self._renumbered:
                    for number, trial in enumerate(self._trials):
                        change = update(trials).where(trials.c.trial_id == storage_id(trial))
                        self._connection.execute(change.values(number=number))

    def close(self) -> None:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError, AttributeError):
            # Given back to the pool it would live on, and the claim with it.
            self._connection.invalidate()
            self._connection.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _rows(self) -> Iterator[str]:
        tables = dict(rdb_tables())
        if sqlalchemy.inspect(self._connection).has_table(BOARDS.name):
            tables[BOARDS.name] = BOARDS
        for name, table in tables.items():
            for row in self._connection.execute(select(*table.c)).mappings():
                line = {"table": name, "row": {str(key): value for key, value in row.items()}}
                yield json.dumps(line, default=str) + "\n"

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise outage(self._place, error, remedy=SERVER_OR_DISK) from error
