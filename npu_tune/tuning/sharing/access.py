"""The board as one driver sees it, and changes it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import TypeVar

from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.ledger.shared import Change, SharedPlace, no_board
from npu_tune.tuning.sharing.board import Board
from npu_tune.tuning.sharing.numbers import Numbers

Answer = TypeVar("Answer")


class BoardAccess:
    """Reads the board with every change of it.

    Args:
        ledger: of the study.

    Attributes:
        name: short, and no other driver's.
        board: as it was seen last; None while this driver is alone.
        numbers: what is known of the proposals' numbers.
        has_met_others: whether another driver was ever at work beside this one.
    """

    def __init__(self, ledger: PatientLedger) -> None:
        self.name = f"{socket.gethostname().partition('.')[0][:12]}-{secrets.token_hex(3)}"
        self.board: Board | None = None
        self.numbers = Numbers(self.name, "")
        self.has_met_others = False
        self._ledger = ledger

    def _exchange(self, change: Callable[[Board], tuple[Board, Answer]]) -> Answer:
        return self._place().exchange(self._change(change))

    def _change(self, change: Callable[[Board], tuple[Board, Answer]]) -> Change[Answer]:
        def apply(text: str) -> tuple[str, Answer]:
            board = Board.read(text)
            if self.board is not None and board.era != self.board.era:
                raise no_board(self._ledger.name)
            changed, answer = change(board)
            self.board = changed
            self.has_met_others |= not changed.beats.keys() <= {self.name}
            self.numbers.look(changed)
            return (text if changed is board else changed.text()), answer

        return apply

    def _is_own(self, number: int) -> bool:
        """Whether a number is this driver's, as far as it was told."""
        row = self._known().reservations.get(number)
        is_written = number in self.numbers.written
        return row is not None and row.driver == self.name and not is_written

    def _forget(self, era: str) -> None:
        self.numbers = Numbers(self.name, era)

    def _known(self) -> Board:
        if self.board is None:
            raise no_board(self._ledger.name)
        return self.board

    def _place(self) -> SharedPlace:
        if self._ledger.place is None:
            raise no_board(self._ledger.name)
        return self._ledger.place
