"""One driver of a study: what it has reserved, and what it knows of the others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.tuning.attributes import DRIVER
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.ledger.shared import (
    PROPOSAL,
    Change,
    LostReservationError,
)
from npu_tune.tuning.sharing.access import BoardAccess
from npu_tune.tuning.sharing.board import Board, Claim, Reservation
from npu_tune.tuning.sharing.lives import Lives
from npu_tune.tuning.sharing.numbers import ending_of

Trials = Callable[[], Iterable[FrozenTrial]]
"""Reads trials of the ledger; it may be called again."""

_REST_S = 0.02

_EVERY_S = 0.5
"""Between two times of saying so, or of looking whether somebody wants to join."""


class Driver(BoardAccess):
    """A process that runs a study, alone or beside others.

    Args:
        ledger: of the study.
        most: evaluations that all drivers may make in all.

    Attributes:
        reserves_next: whether the transaction that writes a trial reserves a number as well.
    """

    def __init__(self, ledger: PatientLedger, *, most: float) -> None:
        super().__init__(ledger)
        self.reserves_next = False
        self._most = most
        self._lives = Lives(self.name, ledger.clock)
        self._finished_seen = 0
        self._next: Reservation | None = None
        self._due = 0.0
        if ledger.place is not None:
            ledger.place.finish = self._finish

    @property
    def is_shared(self) -> bool:
        """Whether others may write the study as well."""
        return self._ledger.place is not None and self._ledger.place.is_shared

    @property
    def count(self) -> int:
        """How many drivers are at work."""
        return 1 if self.board is None else max(len(self.board.beats), 1)

    def holds(self, local: int) -> bool:
        """Whether what stands there in memory is this driver's to finish, as far as it was told."""
        return self.board is None or self.numbers.shared(local) in self.numbers.own

    def marks(self, local: int) -> dict[str, Any]:
        """What a trial of this number in memory says about its driver."""
        if self.board is None:
            return {}
        return {DRIVER: self.name, PROPOSAL: f"{self.board.era}/{self.numbers.shared(local)}"}

    def is_due(self) -> bool:
        """True once in half a second."""
        now = self._ledger.clock()
        if now < self._due:
            return False
        self._due = now + _EVERY_S
        return True

    def is_knocked(self) -> bool:
        """Whether somebody wants to join, and may."""
        place = self._ledger.place
        if place is None or self._ledger.waiting:
            return False  # what others are to find has to be written
        return bool(self._ledger.attempt(place.is_knocked))

    def share(self, *, running: Iterable[Reservation], count: int, evaluated: int) -> None:
        """Lets others in.

        Args:
            running: what is under way, by its number in memory.
            count: of the trials in memory.
            evaluated: evaluations that have finished.
        """
        rows = {row.number: row for row in running}
        board = Board(secrets.token_hex(4), count, evaluated, reservations=rows).beat(self.name)
        place = self._place()
        self._forget(board.era)
        self.numbers.own = set(rows)
        self._ledger.insist(lambda: place.share(board.text()))
        self.board = board

    def join(self, trials: Trials) -> None:
        """Begins to work beside others, or in place of some of whom none is left.

        Args:
            trials: all of the ledger; called while none can be added.
        """
        place = self._place()

        def change(board: Board) -> tuple[Board, None]:
            self._forget(board.era)
            endings = self.numbers.endings(trials())
            self.numbers.written = {n: endings[n] for n in board.reservations if n in endings}
            if place.heir_of is not None:
                self.has_met_others = True
                board = board.without(place.heir_of, endings).within(self._most)
            self._finished_seen = board.finished
            return board.beat(self.name), None

        self._ledger.insist(lambda: self._exchange(change))

    def place_numbers(self, count: int) -> None:
        """Finds room for what is under way among the trials in memory, of which there are so many."""
        self.numbers.place(self._known(), count)

    def look(self) -> int:
        """How many trials have finished in this era, as far as this driver was told."""
        return self._known().finished

    @property
    def has_abandoned(self) -> bool:
        """Whether an evaluation waits for somebody to take it over."""
        return self.board is not None and self.board.has_abandoned

    @property
    def is_behind(self) -> bool:
        """Whether trials have finished that are not known here, or only this driver's own."""
        return self.board is not None and self.board.finished > self._finished_seen

    def has_seen(self, finished: int) -> None:
        """Says that so many of them are known here."""
        self._finished_seen = finished

    def beat(self, unread: Trials) -> None:
        """Says that this driver is at work, looks at the others, and takes leave of the dead.

        Args:
            unread: trials that this driver has not seen yet.
        """

        def change(board: Board) -> tuple[Board, None]:
            board = board.beat(self.name)
            dead = self._lives.dead(board.beats)
            if dead:
                written = {**self.numbers.written, **self.numbers.endings(unread())}
                board = board.without(dead, written)
            return board, None

        self._ledger.attempt(lambda: self._exchange(change))

    def reserve(self) -> Reservation | None:
        """A number for a proposal; None where nothing new may begin."""

        def change(board: Board) -> tuple[Board, Reservation | None]:
            return board.reserve(self.name, most=self._most, own=self.numbers.own)

        row, self._next = self._next, None
        if row is None or self._known().has_abandoned or not self._is_own(row.number):
            row = self._ledger.attempt(lambda: self._exchange(change))
        if row is not None:
            self.numbers.own.add(row.number)
        return row

    @property
    def unused(self) -> int:
        """How many numbers are reserved that nobody has asked for yet."""
        return int(self._next is not None)

    def release(self) -> None:
        """Gives back what was reserved with a trial and is not needed."""
        row, self._next = self._next, None
        if row is not None:
            self.give_back(row.number)

    def claim(self, reservation: Reservation) -> Claim:
        """Says what a number of this driver's is for.

        Raises:
            LostReservationError: if the number is another driver's now.
        """
        row = self._known().reservations.get(reservation.number)
        if row is not None and (row.driver, row.key) == (self.name, reservation.key):
            return Claim.GRANTED  # as this driver was told
        return self._ledger.insist(
            lambda: self._exchange(lambda b: b.claim(reservation, seen=self._finished_seen))
        )

    def give_back(self, number: int) -> None:
        """Leaves a number to whoever wants one."""

        def change(board: Board) -> tuple[Board, None]:
            try:
                return board.give_back(number, self.name), None
            except LostReservationError:
                return board, None

        self._ledger.insist(lambda: self._exchange(change))

    def of_others(self) -> list[Reservation]:
        """What others evaluate, or have left behind, with the configuration known."""
        rows = [] if self.board is None else self.board.reservations.values()
        return [row for row in rows if row.driver != self.name and row.key and not row.waits]

    def keep(self) -> bool:
        """Keeps others out again if nobody came after all; says whether it does.

        Who has worked beside others goes on as if they came back, so that what it has under way is
        taken over should it be killed, too.
        """
        if self.has_met_others:
            return False
        place = self._place()
        if not self._ledger.attempt(lambda: place.keep(self._is_alone)):
            return False
        self._forget("")
        self.board = None
        return True

    def leave(self) -> bool:
        """Gives back what is reserved; True where no other driver is at work."""

        def change(board: Board) -> tuple[Board, bool]:
            if set(board.beats) <= {self.name}:
                # Of several that leave at a time, all others find this one still there.
                return board.beat(self.name), True
            return board.without({self.name}), False

        place = self._place()
        while self._ledger.insist(lambda: self._exchange(change)):
            # Who has just left, or is about to join, may still be there.
            if self._ledger.insist(lambda: place.keep(lambda _: True)):
                return True
            self._ledger.rest(_REST_S)
        self._ledger.insist(place.depart)
        return False

    def others_are_at_work(self) -> bool | None:
        """Whether all others have just said so; None where there are none."""
        if not set(self._known().beats) - {self.name}:
            return None
        return self._lives.are_at_work()

    def _is_alone(self, text: str) -> bool:
        """Whether nobody else has ever been here."""
        board = Board.read(text)
        return board.beats.keys() <= {self.name} and all(
            row.driver == self.name for row in board.reservations.values()
        )

    def _finish(self, trial: FrozenTrial) -> Change[None]:
        """How the text that drivers agree on changes when a trial is written."""
        number, ending = self.numbers.of(trial), ending_of(trial)

        def change(board: Board) -> tuple[Board, None]:
            board = board.finish(number, self.name, ending)
            if self.reserves_next and self.has_met_others:
                self._next = None
                if not board.has_abandoned:
                    board, row = board.reserve(self.name, most=self._most, own=self.numbers.own)
                    self._next = None if row is None or row.key else row
            return board, None

        return self._change(change)

    def _forget(self, era: str) -> None:
        super()._forget(era)
        self._finished_seen = 0
        self._next = None
