"""Several drivers of a study in a journal: a file beside it that they change in turn."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from optuna.trial import FrozenTrial

from npu_tune.errors import OutageError
from npu_tune.files import write_whole
from npu_tune.tuning.ledger.journal_file import journal_errors
from npu_tune.tuning.ledger.lock import SharedLock, WriterLock, is_held
from npu_tune.tuning.ledger.shared import (
    Answer,
    Change,
    OtherWriterError,
    SharedPlace,
    drivers_in,
    no_board,
    wait_to_join,
)

_TURN_S = 10.0
"""How long a driver waits for its turn: any other one takes milliseconds."""

_RETRY_S = 0.002


class FilePlace(SharedPlace):
    """A file beside the journal, and the writer's lock, which drivers hold in turn.

    A driver that is alone holds the writer's lock all the time, as ever. Drivers that are not
    hold it for each write only; that one is at work shows by a lock on another file.

    Args:
        path: of the journal.

    Raises:
        OtherWriterError: if somebody else writes it and nobody is let in.
    """

    def __init__(self, path: Path, *, join_wait_s: float) -> None:
        self._path = path
        self._board = board_path(path)
        self._door = path.with_name(f"{path.name}.knock")
        self._presence = path.with_name(f"{path.name}.sharing")
        self._lock: WriterLock | None = None
        self._present: SharedLock | None = None
        self._unsaid: tuple[FrozenTrial, int] | None = None
        if join_wait_s <= 0:
            self._enter()
            return
        is_in = wait_to_join(self._join, patience_s=join_wait_s)
        self._door.unlink(missing_ok=True)  # who still waits knocks again
        if not is_in:
            self._enter()

    def is_knocked(self) -> bool:
        return self._door.exists()

    def share(self, text: str) -> None:
        with journal_errors(self._board, "written"):
            write_whole(self._board, text.encode())
        self._present = SharedLock(self._presence)
        self._door.unlink(missing_ok=True)
        self._let_go()
        self.is_shared = True

    def keep(self, is_alone: Callable[[str], bool]) -> bool:
        lock = self._turn()
        self.depart()
        if is_held(self._presence) or not is_alone(self._text()):
            self._present = SharedLock(self._presence)
            lock.release()
            return False
        self._board.unlink(missing_ok=True)
        self._lock, self.is_shared = lock, False
        return True

    def depart(self) -> None:
        if self._present is not None:
            self._present.release()
            self._present = None

    def exchange(self, change: Change[Answer]) -> Answer:
        with self.turn():
            text, answer = self._changed(change)
            self._write(text)
            return answer

    def append(self, trial: FrozenTrial, write: Callable[[], int]) -> int:
        """Writes a finished trial in this driver's turn, and takes it off the board.

        Args:
            trial: that has finished.
            write: writes it; returns its number.
        """
        with self.turn():
            text, _ = self._changed(self.finish(trial))
            if self._unsaid is None or self._unsaid[0] is not trial:
                self._unsaid = trial, write()
            # If only the board cannot be written, the trial must not be written once more.
            number = self._unsaid[1]
            self._write(text)
            return number

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keeps other writers out for as long as the block takes."""
        if self._lock is not None:
            yield
            return
        self._lock = self._turn()
        try:
            yield
        finally:
            self._let_go()

    def release(self) -> None:
        """Ends this writer's part; may be called again."""
        self.depart()
        self._let_go()

    def _changed(self, change: Change[Answer]) -> tuple[str, Answer]:
        return change(self._text())

    def _text(self) -> str:
        with journal_errors(self._board, "read"):
            try:
                return self._board.read_text()
            except FileNotFoundError:
                raise no_board(self._path.name) from None

    def _write(self, text: str) -> None:
        with journal_errors(self._board, "written"):
            fresh = self._board.with_name(f"{self._board.name}.new")
            fresh.write_text(text)
            fresh.replace(self._board)

    def _join(self) -> bool:
        try:
            self._enter(may_inherit=True)
        except OtherWriterError:
            with journal_errors(self._door, "written"):
                self._door.touch()
            return False
        return True

    def _enter(self, *, may_inherit: bool = False) -> None:
        """Begins to write, alone or beside those who share."""
        self._lock = WriterLock(self._path)
        if not self._board.exists():
            return
        if not is_held(self._presence):
            # All who have written it were killed, and what they had under way is taken over.
            self.heir_of = drivers_in(self._text()) if may_inherit else None
            if self.heir_of is None:
                self._board.unlink(missing_ok=True)
                return
        self._present = SharedLock(self._presence)
        self._let_go()
        self.is_shared = True

    def _turn(self) -> WriterLock:
        deadline = time.monotonic() + _TURN_S
        while True:
            try:
                return WriterLock(self._path, tries=1)
            except OtherWriterError as error:
                if time.monotonic() >= deadline:
                    raise OutageError(
                        f"Another driver of the study {self._path} does not let go of it.",
                        remedy="Stop it, then run the same command again.",
                        path=str(self._path),
                    ) from error
                time.sleep(_RETRY_S)

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def board_path(path: Path) -> Path:
    """The file in which the drivers of a journal agree."""
    return path.with_name(f"{path.name}.drivers")


def drivers_beside(path: Path) -> int:
    """How many drivers write a journal together now; 0 where there is one alone, or none."""
    if not is_held(path.with_name(f"{path.name}.sharing")):
        return 0
    try:
        return max(len(json.loads(board_path(path).read_text())["beats"]), 1)
    except (OSError, LookupError, ValueError):  # it is being made, or ended
        return 1
