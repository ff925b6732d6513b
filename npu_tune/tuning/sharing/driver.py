"""One driver of a study: what it has reserved, and what it knows of the others."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from optuna.trial import FrozenTrial

from npu_tune.tuning.attributes import DRIVER, PROPOSAL
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.ledger.shared import Change, LostReservationError, SharedPlace, no_board
from npu_tune.tuning.sharing.board import Board, Claim, Reservation
from npu_tune.tuning.sharing.lives import Lives

Answer = TypeVar("Answer")

_REST_S = 0.02

_EVERY_S = 0.5
"""Between two times of saying so, or of looking whether somebody wants to join."""


class Driver:
    """A process that runs a study, alone or beside others.

    Args:
        ledger: of the study.
        most: evaluations that all drivers may make in all.
        clock: seconds from any fixed point.

    Attributes:
        name: short, and no other driver's.
        board: as it was seen last; None while this driver is alone.
    """

    def __init__(
        self,
        ledger: PatientLedger,
        *,
        most: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"{socket.gethostname().partition('.')[0][:12]}-{secrets.token_hex(3)}"
        self.board: Board | None = None
        self._ledger = ledger
        self._most = most
        self._clock = clock
        self._lives = Lives(self.name, clock)
        self._local: dict[int, int] = {}
        self._written: dict[int, bool] = {}
        self._finished_seen = 0
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

    def local(self, number: int) -> int:
        """The number in this driver's memory of a proposal."""
        return self._local.get(number, number)

    def shared(self, local: int) -> int:
        """The proposal's number of a trial in this driver's memory."""
        return next((number for number, own in self._local.items() if own == local), local)

    def marks(self, local: int) -> dict[str, Any]:
        """What a trial of this number in memory says about its driver."""
        if self.board is None:
            return {}
        return {DRIVER: self.name, PROPOSAL: f"{self.board.era}/{self.shared(local)}"}

    def is_due(self) -> bool:
        """True once in half a second."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + _EVERY_S
        return True

    def is_knocked(self) -> bool:
        """Whether somebody wants to join, and may."""
        place = self._ledger.place
        if place is None or self._ledger.waiting:
            return False
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
        self._forget()
        self._ledger.insist(lambda: place.share(board.text()))
        self.board = board

    def join(self, late: Callable[[], Answer]) -> Answer:
        """Begins to work beside others.

        Args:
            late: is called while no trial can be added.
        """
        self._forget()
        place = self._place()
        return self._ledger.insist(
            lambda: self._exchange(place, lambda b: (b.beat(self.name), late()))
        )

    def place_numbers(self, trials: Iterable[FrozenTrial], count: int) -> None:
        """Finds room in memory for what is under way: trials there are numbered without gaps.

        Args:
            trials: those of the ledger when this driver joined.
            count: how many of them there are in memory.
        """
        board = self._known()
        for trial in trials:
            number = self.number_of(trial)
            if number in board.reservations:
                self._written[number] = "duplicate_of" not in trial.user_attrs
        open_ = sorted(number for number in board.reservations if number not in self._written)
        free = iter([n for n in range(count, board.next) if n not in open_])
        self._local = {number: next(free) for number in open_ if number < count}

    def number_of(self, trial: FrozenTrial) -> int:
        """The number of a finished trial's proposal; -1 where it is of an earlier era."""
        era, _, number = str(trial.user_attrs.get(PROPOSAL, "")).partition("/")
        return int(number) if era == self._known().era else -1

    def note(self, trial: FrozenTrial) -> bool:
        """Takes notice of a trial that has finished; True where it is a new one."""
        number = self.number_of(trial)
        if number < 0 or number in self._written:
            return False
        self._written[number] = "duplicate_of" not in trial.user_attrs
        return True

    def look(self) -> int:
        """How many trials have finished in this era, as far as this driver was told."""
        return self._known().finished

    @property
    def is_behind(self) -> bool:
        """Whether trials have finished that are not known here, or only this driver's own."""
        return self.board is not None and self.board.finished > self._finished_seen

    def has_seen(self, finished: int) -> None:
        """Says that so many of them are known here."""
        self._finished_seen = finished

    def has(self, reservation: Reservation) -> bool:
        """Whether a number is this driver's and for that very key, as far as it was told."""
        row = self._known().reservations.get(reservation.number)
        return row is not None and (row.driver, row.key) == (self.name, reservation.key)

    def beat(self) -> None:
        """Says that this driver is at work, looks at the others, and takes leave of the dead."""

        def change(board: Board) -> tuple[Board, None]:
            board = board.beat(self.name)
            dead = self._lives.dead(board.beats)
            return (board.without(dead, self._written) if dead else board), None

        place = self._place()
        self._ledger.attempt(lambda: self._exchange(place, change))

    def reserve(self) -> Reservation | None:
        """A number for a proposal; None where nothing new may begin."""

        def change(board: Board) -> tuple[Board, Reservation | None]:
            return board.reserve(self.name, most=self._most)

        place = self._place()
        return self._ledger.attempt(lambda: self._exchange(place, change))

    def claim(self, reservation: Reservation) -> Claim:
        """Says what a number of this driver's is for.

        Raises:
            LostReservationError: if the number is another driver's now.
        """
        place = self._place()
        return self._ledger.insist(
            lambda: self._exchange(place, lambda b: b.claim(reservation, seen=self._finished_seen))
        )

    def give_back(self, number: int) -> None:
        """Leaves a number to whoever wants one."""
        place = self._place()

        def change(board: Board) -> tuple[Board, None]:
            try:
                return board.give_back(number, self.name), None
            except LostReservationError:
                return board, None

        self._ledger.insist(lambda: self._exchange(place, change))

    def of_others(self) -> list[Reservation]:
        """What others evaluate, or have left behind, with the configuration known."""
        rows = [] if self.board is None else self.board.reservations.values()
        return [row for row in rows if row.driver != self.name and row.key and not row.waits]

    def keep(self) -> bool:
        """Keeps others out again, if there are none; says whether it does."""
        board = self._known()
        if set(board.beats) - {self.name} or self._ledger.waiting:
            return False
        if any(not row.driver for row in board.reservations.values()):
            return False
        place = self._place()
        if not self._ledger.attempt(place.keep):
            return False
        self._forget()
        self.board = None
        return True

    def leave(self) -> bool:
        """Gives back what is reserved; True where no other driver is at work."""

        def change(board: Board) -> tuple[Board, bool]:
            board = board.without({self.name})
            return board, not board.beats

        place = self._place()
        while self._ledger.insist(lambda: self._exchange(place, change)):
            # Who has just left, or is about to join, may still be there.
            if self._ledger.insist(place.keep):
                return True
            time.sleep(_REST_S)
        self._ledger.insist(place.depart)
        return False

    def others_are_at_work(self) -> bool | None:
        """Whether all others have just said so; None where there are none."""
        if not set(self._known().beats) - {self.name}:
            return None
        return self._lives.are_at_work()

    def _finish(self, trial: FrozenTrial) -> Change[None]:
        """How the text that drivers agree on changes when a trial is written."""
        number = self.number_of(trial)
        is_evaluated = "duplicate_of" not in trial.user_attrs

        def change(board: Board) -> tuple[Board, None]:
            finished = board.finish(number, self.name, is_evaluated=is_evaluated)
            self._written[number] = is_evaluated
            return finished, None

        return self._change(change)

    def _exchange(
        self, place: SharedPlace, change: Callable[[Board], tuple[Board, Answer]]
    ) -> Answer:
        return place.exchange(self._change(change))

    def _change(self, change: Callable[[Board], tuple[Board, Answer]]) -> Change[Answer]:
        def apply(text: str) -> tuple[str, Answer]:
            board = Board.read(text)
            if self.board is not None and board.era != self.board.era:
                raise no_board(self._ledger.name)
            changed, answer = change(board)
            self.board = changed
            return (text if changed is board else changed.text()), answer

        return apply

    def _forget(self) -> None:
        self._local, self._written = {}, {}
        self._finished_seen = 0

    def _known(self) -> Board:
        if self.board is None:
            raise no_board(self._ledger.name)
        return self.board

    def _place(self) -> SharedPlace:
        if self._ledger.place is None:
            raise no_board(self._ledger.name)
        return self._ledger.place
