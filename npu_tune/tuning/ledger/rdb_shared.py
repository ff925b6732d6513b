"""Several drivers of a study in PostgreSQL: a row that they change in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, delete, insert, select

from npu_tune.errors import OutageError
from npu_tune.tuning.ledger.rdb_claim import claim, enter, is_knocked, knock, release
from npu_tune.tuning.ledger.rdb_open import BOARDS
from npu_tune.tuning.ledger.rdb_statement import WholeTrial, in_one_go, number_of
from npu_tune.tuning.ledger.shared import (
    Answer,
    Change,
    SharedPlace,
    drivers_in,
    no_board,
    wait_to_join,
)

_ASK = "SELECT board FROM npu_tune_drivers WHERE study_id = %(study)s FOR UPDATE"
_CHANGE = "UPDATE npu_tune_drivers SET board = %(board)s WHERE study_id = %(study)s"


class ServerPlace(SharedPlace):
    """A row of a table beside Optuna's, and a claim on the study that drivers have together.

    Args:
        connect: gives the connection that writes; every claim dies with it.
        study_id: of the study in Optuna's table of studies.
        name: of the study.
        ready: makes a trial ready to be sent.
        errors: turns what the database's driver raises in a block into errors of this package.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        study_id: int,
        name: str,
        ready: Callable[[FrozenTrial], WholeTrial],
        errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connect = connect
        self._study_id = study_id
        self._name = name
        self._ready = ready
        self._errors = errors
        self._is_new = True

    def claim(self, connection: Connection, patience_s: float) -> bool:
        """Claims the study on a new connection; waits to be let in where others are at work.

        Returns:
            False where nobody has let it in.

        Raises:
            OutageError: if the claim was lost with an earlier connection, and others have it now.
        """
        if not self._is_new:
            is_claimed = claim(connection, self._name, beside=self.is_shared)
            if self.is_shared and not is_claimed:
                raise OutageError(f"The study {self._name!r} was claimed by another process.")
            return is_claimed
        may_share = patience_s > 0
        if not self._first_claim(connection, may_inherit=may_share) and not (
            may_share and self._join(connection, patience_s)
        ):
            return False
        self._is_new = False
        return True

    def is_knocked(self) -> bool:
        with self._transaction() as connection:
            return is_knocked(connection, self._name)

    def share(self, text: str) -> None:
        with self._transaction() as connection:
            connection.execute(delete(BOARDS).where(self._is_own))
            connection.execute(insert(BOARDS).values(study_id=self._study_id, board=text))
        with self._transaction() as connection:
            self._share_claim(connection)

    def keep(self, is_alone: Callable[[str], bool]) -> bool:
        with self._transaction() as connection:
            if not claim(connection, self._name):
                return False
            if not is_alone(self._text(connection) or ""):
                release(connection, self._name)
                return False
            release(connection, self._name, beside=True)
            connection.execute(delete(BOARDS).where(self._is_own))
        self.is_shared = False
        return True

    def depart(self) -> None:
        with self._transaction() as connection:
            release(connection, self._name, beside=True)

    def exchange(self, change: Change[Answer]) -> Answer:
        # What is lost with the server's power is lost with all drivers' connections.
        with self._changed(change, before="SET LOCAL synchronous_commit = off") as (_, answer):
            return answer

    def append(self, trial: FrozenTrial) -> int:
        """Writes a finished trial and takes it off the board at once; returns its number."""
        ready = self._ready(trial)  # before the others have to wait
        with self._changed(self.finish(trial)) as (driver, _):
            sent = ready.send(driver)
        return number_of(sent)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._errors(), (connection := self._connect()).begin():
            yield connection

    @contextlib.contextmanager
    def _changed(
        self, change: Change[Answer], *, before: str = ""
    ) -> Iterator[tuple[Any, Answer]]:
        """Changes the text in a transaction, in which the block is as well.

        Yields:
            What :func:`in_one_go` gives, and the answer of the change.
        """
        own = {"study": self._study_id}
        with self._errors(), in_one_go(self._connect()) as driver:
            if before:
                driver.execute(before)
            row = driver.execute(_ASK, own).fetchone()
            if row is None:
                raise no_board(self._name)
            changed, answer = change(row[0])
            if changed != row[0]:
                driver.execute(_CHANGE, {**own, "board": changed})
            yield driver, answer

    @property
    def _is_own(self) -> sqlalchemy.ColumnElement[bool]:
        return BOARDS.c.study_id == self._study_id

    def _first_claim(self, connection: Connection, *, may_inherit: bool) -> bool:
        """Claims the study where nobody else does.

        What drivers that were all killed had under way is taken over, if it may be.
        """
        if not claim(connection, self._name):
            return False
        text = self._text(connection) if may_inherit else None
        self.heir_of = None if text is None else drivers_in(text)
        if self.heir_of is None:
            connection.execute(delete(BOARDS).where(self._is_own))
        else:
            self._share_claim(connection)
        return True

    def _share_claim(self, connection: Connection) -> None:
        claim(connection, self._name, beside=True)
        release(connection, self._name)
        self.is_shared = True

    def _join(self, connection: Connection, patience_s: float) -> bool:
        knock(connection, self._name)

        def attempt() -> bool:
            if self._first_claim(connection, may_inherit=True):
                return True
            if claim(connection, self._name, beside=True):
                if self._text(connection) is not None:
                    self.is_shared = True
                    return True
                release(connection, self._name, beside=True)
            return False

        try:
            return wait_to_join(attempt, patience_s=patience_s)
        finally:
            enter(connection, self._name)

    def _text(self, connection: Connection) -> str | None:
        return connection.execute(select(BOARDS.c.board).where(self._is_own)).scalar()
