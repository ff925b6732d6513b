"""The ledger in Optuna's own database tables, on SQLite, PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import (
    RDB_REVISION,
    direction_words,
    parse_directions,
)
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.base import (
    Ledger,
    check_directions,
    no_such_study,
    only_study,
    other_studies,
)
from npu_tune.tuning.ledger.lock import WriterLock, forget, is_locked, keep_from_children
from npu_tune.tuning.ledger.outage import SERVER_OR_DISK, outage
from npu_tune.tuning.ledger.rdb_claim import claim, claims, socket_of
from npu_tune.tuning.ledger.rdb_open import (
    append_by_optuna,
    check_sqlite_file,
    create_study,
    merge_write_ahead_log,
    open_server,
    open_sqlite,
)
from npu_tune.tuning.ledger.rdb_rows import TrialRows
from npu_tune.tuning.ledger.rdb_shared import ServerPlace
from npu_tune.tuning.ledger.server_address import missing_driver
from npu_tune.tuning.ledger.shared import other_writer
from npu_tune.tuning.ledger.watch import FileWatch

_LOCK_WAIT_MS = 250
"""How long a trial waits for SQLite's lock: the study goes on meanwhile and tries again later."""


class RdbLedger(Ledger):
    """A study in Optuna's tables; each finished trial is one transaction.

    On SQLite the write-ahead log is used: a trial survives the death of the process, and the
    loss of power may cost the last trials but never damages the file. The servers flush every
    trial to their disk before ``append`` returns, unless they are set up otherwise.

    Args:
        url: SQLAlchemy's: ``sqlite:///file``, ``postgresql+psycopg://``, ``mysql+pymysql://``.
        name: of the study.
        directions: of the objectives; empty to take what is stored.
        metric_names: of the objectives, for Optuna's tools; used when the study is made.
        create: make the tables and the study where there are none.
        join: make the study also where there are others.
        read_only: neither lock nor write.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.
        join_wait_s: how long to wait for others at work to let this writer in; 0 to be alone.
    """

    place: ServerPlace | None

    def __init__(
        self,
        url: sqlalchemy.URL,
        *,
        name: str,
        directions: Sequence[str] = (),
        metric_names: Sequence[str] = (),
        create: bool = True,
        join: bool = True,
        read_only: bool = False,
        lean: bool = False,
        join_wait_s: float = 0.0,
    ) -> None:
        self.name, self.read_only, self._url = name, read_only, url
        self._join_wait_s, self.place = join_wait_s, None
        self._place = url.render_as_string(hide_password=True)
        self._lock: WriterLock | None = None
        self._connection: sqlalchemy.Connection | None = None
        self._storage: RDBStorage | None = None
        self._watch: FileWatch | None = None
        self._log_watch: FileWatch | None = None
        create = create and not read_only
        try:
            if not read_only:
                self._lock_file()
            with self._errors():
                self._storage = self._open_storage(create=create)
                self._study_id = self._find_study(
                    directions, metric_names, create=create, join=join
                )
                self._rows = TrialRows(self._study_id, lean=lean)
                self._bulk = self._storage.get_current_version() == RDB_REVISION
                if not read_only:
                    if self._url.get_backend_name() == "postgresql" and self._bulk:
                        self.place = ServerPlace(
                            self._writing_connection,
                            self._study_id,
                            name,
                            self._rows.ready,
                            self._errors,
                        )
                    if self._file is not None and self._file.is_file():
                        self._watch = FileWatch(self._file)
                    self._writing_connection()
        except BaseException:
            self.close()
            raise

    def append(self, trial: FrozenTrial) -> int:
        self._check_writable()
        self._check_finished(trial)
        self.check()
        with self._errors():
            if not self._bulk:
                return append_by_optuna(self._open(), self._study_id, trial)
            if self.place is not None and self.place.is_shared:
                return self.place.append(trial)
            return self._rows.insert(self._writing_connection(), trial)

    def find(self, trial: FrozenTrial) -> int | None:
        with self._errors():
            return self._rows.find(self._writing_connection(), trial) if self._bulk else None

    def trials(self) -> list[FrozenTrial]:
        self.check()
        with self._errors():
            if not self._bulk:
                return self._open().get_all_trials(self._study_id, deepcopy=False)
            return self.trials_from(0)

    def trials_from(self, first: int, until: int | None = None) -> list[FrozenTrial]:
        if not self._bulk:
            return super().trials_from(first, until)
        if first > 0 and self.place is not None and self.place.is_shared:
            with self._errors():
                return self._rows.select_few(self._writing_connection(), first, until)
        with self._errors(), self._open().engine.connect() as connection:
            return self._rows.select(connection, first, until)

    def directions(self) -> list[str]:
        with self._errors():
            return direction_words(self._open().get_study_directions(self._study_id))

    def attributes(self) -> dict[str, Any]:
        self.check()
        with self._errors():
            return dict(self._open().get_study_user_attrs(self._study_id))

    def set_attribute(self, key: str, value: Any) -> None:
        self._check_writable()
        self.check()
        with self._errors():
            self._open().set_study_user_attr(self._study_id, key, value)

    def has_writer(self) -> bool:
        return self.drivers() > 0

    def drivers(self) -> int:
        if self._file is not None:
            return int(is_locked(self._file))
        with self._errors(), self._open().engine.connect() as connection:
            return claims(connection, self.name)

    def system_attributes(self) -> dict[str, Any]:
        self.check()
        with self._errors():
            return dict(self._open().get_study_system_attrs(self._study_id))

    def set_system_attribute(self, key: str, value: Any) -> None:
        self._check_writable()
        self.check()
        with self._errors():
            self._open().set_study_system_attr(self._study_id, key, value)

    def check(self) -> None:
        if self._watch is None or self._file is None:
            return
        self._watch.check()
        log = self._file.with_name(f"{self._file.name}-wal")
        if self._log_watch is not None:
            self._log_watch.check(least=0)  # it is emptied now and then
        elif self._connection is not None:
            with contextlib.suppress(FileNotFoundError):
                self._log_watch = FileWatch(log)

    def close(self) -> None:
        lost = False
        if self._watch is not None:
            try:
                self.check()
            except StorageError:
                lost = True
        self._drop_connection()
        if self._storage is not None:
            storage, self._storage = self._storage, None
            # Another connection to a file that was removed would make an empty one in its place.
            if self._sqlite and not self.read_only and not lost:
                merge_write_ahead_log(storage)
            storage.remove_session()
            storage.engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @property
    def _sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def _file(self) -> Path | None:
        """Of SQLite; None where there is none."""
        return Path(self._url.database) if self._sqlite and self._url.database else None

    def _lock_file(self) -> None:
        if self._file is not None:
            check_sqlite_file(self._file)
            self._lock = WriterLock(self._file)

    def _open_storage(self, *, create: bool) -> RDBStorage:
        found = None
        if not self._sqlite:
            found = open_server(self._url, create=create, read_only=self.read_only)
        elif create or (self._file is not None and self._file.is_file()):
            found = open_sqlite(self._url, read_only=self.read_only)
        if found is None:
            raise no_such_study(self.name, self._place)
        return found

    def _find_study(
        self, directions: Sequence[str], metric_names: Sequence[str], *, create: bool, join: bool
    ) -> int:
        storage, wanted = self._open(), parse_directions(directions)
        if not self.name:
            self.name = only_study(self._place, (s.study_name for s in storage.get_all_studies()))
        try:
            study_id = storage.get_study_id_from_name(self.name)
        except KeyError:
            if not create:
                raise no_such_study(self.name, self._place) from None
            held = [study.study_name for study in storage.get_all_studies()]
            if held and not join:
                raise other_studies(self.name, self._place, held) from None
            study_id = create_study(storage, self.name, wanted, metric_names)
        check_directions(self.name, storage.get_study_directions(study_id), wanted)
        return study_id

    def _writing_connection(self) -> sqlalchemy.Connection:
        """The one connection that writes; on a server it also holds the writer's claim."""
        if self._connection is None:
            self._connection = self._open().engine.connect()
            with self._connection.begin():
                if self._sqlite:
                    self._connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
                    self._connection.exec_driver_sql(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
                else:
                    self._claim(self._connection)
        return self._connection

    def _claim(self, connection: sqlalchemy.Connection) -> None:
        keep_from_children(self, socket_of(connection))
        wait_s, place = self._join_wait_s, self.place
        if not (place.claim(connection, wait_s) if place else claim(connection, self.name)):
            raise other_writer(f"{self.name!r} in {self._place}", name=self.name)

    def _drop_connection(self) -> None:
        forget(self)
        self._log_watch = None  # goes with the last connection
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                # Given back to the pool it would live on, and the claim with it.
                connection.invalidate()
                connection.close()

    def _open(self) -> RDBStorage:
        if self._storage is None:
            raise StorageError(f"The study {self.name!r} is closed.")
        return self._storage

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            # Broken connections are made anew by the next call, which may be a retry.
            self._drop_connection()
            if self._storage is not None:
                self._storage.engine.dispose()
            cause = error.__cause__ if error.__cause__ is not None else error
            raise outage(self._place, cause, remedy=SERVER_OR_DISK) from error
        except ModuleNotFoundError as error:
            raise missing_driver(self._place, self._place, error.name) from error
