"""What the drivers of a study agree on: which numbers are taken, by whom, and for what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.shared import LostReservationError

RECENT = 128
"""How many keys are kept after their evaluation, for drivers that have not seen the trial yet."""

_KEY_SIZE = 16
"""How much of such a key is kept: 64 bits, of which no two of a study are alike by chance."""


class Claim(StrEnum):
    """What came of saying what a number is for."""

    GRANTED = "granted"
    TAKEN = "taken"
    """Another driver evaluates the same, or has just done so."""
    BEHIND = "behind"
    """The driver has to read what others have finished, and then ask again."""


class Ending(StrEnum):
    """What a finished trial says about the evaluation behind it."""

    ANSWERED = "answered"
    """It answers for its key."""
    UNANSWERED = "unanswered"
    """It was made, and says nothing about the configuration: a worker was lost."""
    REPEATED = "repeated"
    """There was none, as another trial answers for it."""


@dataclass(frozen=True)
class Reservation:
    """A number of a proposal that has not finished.

    Args:
        number: of the proposal, from 0; no two proposals of a study have the same.
        driver: who has it; empty once it was given back.
        key: of the configuration; empty until it is known.
        origin: as in :class:`npu_tune.tuning.TrialRecord`.
        changes: what was asked for, with values that make no difference, from the default; as JSON.
        waits: True where another evaluation of the same key will answer for it.
    """

    number: int
    driver: str
    key: str = ""
    origin: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    waits: bool = False

    @property
    def is_abandoned(self) -> bool:
        """True where somebody else has to evaluate what a driver did not finish."""
        return not self.driver and bool(self.key)

    @property
    def may_evaluate(self) -> bool:
        """True where it takes, or may yet take, an evaluation of the budget."""
        return not self.waits and bool(self.driver or self.key)

    def given_back(self) -> Reservation:
        """The same without a driver; what another evaluation answers for need not be done."""
        return Reservation(self.number, "") if self.waits else replace(self, driver="")

    def to_dict(self) -> dict[str, Any]:
        """Itself as JSON, without what is empty."""
        row = {**vars(self), "changes": dict(self.changes)}
        return {name: value for name, value in row.items() if value or name in _ALWAYS}


_ALWAYS = ("number", "driver")


@dataclass(frozen=True)
class Board:
    """The proposals under way and the drivers at work; every change makes a new one.

    Numbers below ``next`` have either finished or are among the reservations.

    Args:
        era: told anew whenever a driver that was alone lets others in.
        next: the first number that nobody ever had.
        evaluated: evaluations that have finished, in all runs of the study.
        finished: trials that have finished in this era.
        reservations: by number.
        beats: by driver, how often it has said that it is alive.
        recent: the start of keys that were evaluated last.
    """

    era: str
    next: int
    evaluated: int
    finished: int = 0
    reservations: Mapping[int, Reservation] = field(default_factory=dict)
    beats: Mapping[str, int] = field(default_factory=dict)
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Board:
        """The board behind a text that :meth:`text` has made.

        Raises:
            StorageError: if it is none.
        """
        try:
            document = json.loads(text)
            rows = [Reservation(**row) for row in document.pop("reservations")]
            recent = tuple(document.pop("recent"))
            return cls(**document, reservations={r.number: r for r in rows}, recent=recent)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise StorageError(
                f"What the drivers of the study have agreed on is damaged: {error!r}.",
                remedy="Stop all of them, then run the same command again.",
            ) from error

    def text(self) -> str:
        """The board as JSON."""
        rows = [each.to_dict() for each in self.reservations.values()]
        document = {**vars(self), "reservations": rows, "beats": dict(self.beats)}
        return json.dumps(document, separators=(",", ":"), default=dict)

    @property
    def evaluations(self) -> int:
        """Evaluations that have finished, are under way, or may yet begin."""
        return self.evaluated + sum(each.may_evaluate for each in self.reservations.values())

    @property
    def has_abandoned(self) -> bool:
        """Whether an evaluation waits for somebody to take it over."""
        return any(each.is_abandoned for each in self.reservations.values())

    @property
    def is_settled(self) -> bool:
        """True where nothing is under way or left behind."""
        return not any(each.driver or each.key for each in self.reservations.values())

    def beat(self, driver: str) -> Board:
        """Says that a driver is at work; the first time it joins."""
        return replace(self, beats={**self.beats, driver: self.beats.get(driver, 0) + 1})

    def without(
        self, drivers: AbstractSet[str], written: Mapping[int, Ending] | None = None
    ) -> Board:
        """Without some drivers, whose reservations are given back.

        Args:
            drivers: that have left, or died.
            written: numbers whose trial is in the ledger, and how it ended. A driver may have
                died between writing a trial and saying so.
        """
        written = written or {}
        board = self
        for number, row in self.reservations.items():
            if row.driver in drivers and number in written:
                board = board.with_finished(row, written[number])
            elif row.driver in drivers:
                board = board.with_row(row.given_back())
        beats = {name: beat for name, beat in self.beats.items() if name not in drivers}
        return replace(board, beats=beats)

    def within(self, most: float) -> Board:
        """Without what was left behind and is more than the evaluations that there may be."""
        board = self
        for row in self.reservations.values():
            if row.is_abandoned and board.evaluations > most:
                board = board.with_row(Reservation(row.number, ""))
        return board

    def reserve(
        self, driver: str, *, most: float, own: AbstractSet[int] = frozenset()
    ) -> tuple[Board, Reservation | None]:
        """Gives a driver a number: of what was left behind, else of something new.

        Args:
            driver: that asks.
            most: evaluations that there may be in all; where they are used up, nothing new begins.
            own: numbers that it knows to have. Where an answer was lost on its way, it has another
                one, which it is told of again.
        """
        for row in self.reservations.values():
            if row.driver == driver and row.number not in own:
                return self, row
        free = sorted(number for number, row in self.reservations.items() if not row.driver)
        left = [number for number in free if self.reservations[number].key]
        if left:
            row = replace(self.reservations[left[0]], driver=driver)
        elif self.evaluations >= most:
            return self, None
        else:
            row = Reservation(free[0] if free else self.next, driver)
        board = replace(self, next=max(self.next, row.number + 1))
        return board.with_row(row), row

    def claim(self, claimed: Reservation, *, seen: int) -> tuple[Board, Claim]:
        """Says what a number is for, unless another one is for the same.

        Args:
            claimed: of which the key was not known before.
            seen: how many trials of this era the driver has seen finished.

        Raises:
            LostReservationError: if the number is another driver's now.
        """
        self._own(claimed.number, claimed.driver)
        is_under_way = any(
            row.key == claimed.key and not row.waits and row.number != claimed.number
            for row in self.reservations.values()
        )
        if claimed.waits:
            if not is_under_way:
                return self, Claim.BEHIND
            return self.with_row(claimed), Claim.GRANTED
        if is_under_way or claimed.key[:_KEY_SIZE] in self.recent:
            return self, Claim.TAKEN
        if self.finished - seen > len(self.recent) >= RECENT:
            return self, Claim.BEHIND
        return self.with_row(claimed), Claim.GRANTED

    def give_back(self, number: int, driver: str) -> Board:
        """Leaves a number to whoever wants one, with nothing to be done.

        Raises:
            LostReservationError: if the number is another driver's now.
        """
        self._own(number, driver)
        return self.with_row(Reservation(number, ""))

    def finish(self, number: int, driver: str, ending: Ending) -> Board:
        """Takes a number off, as its trial has finished.

        Raises:
            LostReservationError: if the number is another driver's now.
        """
        return self.with_finished(self._own(number, driver), ending)

    def with_finished(self, row: Reservation, ending: Ending) -> Board:
        rows = {n: other for n, other in self.reservations.items() if n != row.number}
        recent = self.recent
        if ending is Ending.ANSWERED and row.key:
            recent = (*recent, row.key[:_KEY_SIZE])[-RECENT:]
        return replace(
            self,
            reservations=rows,
            recent=recent,
            finished=self.finished + 1,
            evaluated=self.evaluated + (ending is not Ending.REPEATED),
        )

    def _own(self, number: int, driver: str) -> Reservation:
        row = self.reservations.get(number)
        if row is None or row.driver != driver:
            raise LostReservationError(
                f"The proposal {number} was taken over by another driver of the study."
            )
        return row

    def with_row(self, row: Reservation) -> Board:
        return replace(self, reservations={**self.reservations, row.number: row})
