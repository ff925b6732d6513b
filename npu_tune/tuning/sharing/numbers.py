"""The numbers of proposals, as one driver knows them: which are its own, and where each stands."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.trial import FrozenTrial

from npu_tune.errors import WorkerLostError
from npu_tune.tuning.attributes import DRIVER
from npu_tune.tuning.ledger.shared import PROPOSAL
from npu_tune.tuning.sharing.board import Board, Ending, Reservation


class Numbers:
    """What a driver knows of the numbers of one era.

    Trials in memory are numbered without gaps, so that a proposal may stand there under another
    number than the one that all drivers know it by.

    Args:
        driver: whose knowledge it is.
        era: of the board.

    Attributes:
        own: numbers that are reserved for this driver, as far as it was told.
        written: how the trials of other drivers that were read have ended.
    """

    def __init__(self, driver: str, era: str) -> None:
        self._driver = driver
        self.era = era
        self.own: set[int] = set()
        self.written: dict[int, Ending] = {}
        self._seen: dict[int, Reservation] = {}
        self._local: dict[int, int] = {}
        self._shared: dict[int, int] = {}

    def local(self, number: int) -> int:
        """Where a proposal stands in memory."""
        return self._local.get(number, number)

    def shared(self, local: int) -> int:
        """The proposal that stands there in memory."""
        return self._shared.get(local, local)

    def of(self, trial: FrozenTrial) -> int:
        """The number of a finished trial's proposal; -1 where it is of an earlier era."""
        era, _, number = str(trial.user_attrs.get(PROPOSAL, "")).partition("/")
        return int(number) if era == self.era else -1

    def endings(self, trials: Iterable[FrozenTrial]) -> dict[int, Ending]:
        """How those of this era have ended, by number."""
        return {self.of(trial): ending_of(trial) for trial in trials if self.of(trial) >= 0}

    def place(self, board: Board, count: int) -> None:
        """Finds room in memory for what is under way when a driver joins.

        Args:
            board: at that moment, when all trials of the ledger are known here.
            count: how many of them there are in memory.
        """
        open_ = sorted(number for number in board.reservations if number not in self.written)
        taken = set(open_)
        free = (number for number in range(count, board.next) if number not in taken)
        self._local = {number: next(free) for number in open_ if number < count}
        self._shared = {local: number for number, local in self._local.items()}

    def look(self, board: Board) -> None:
        """Takes notice of what is reserved at a moment, for whom and for what."""
        rows = board.reservations
        self.own &= {n for n, row in rows.items() if row.driver == self._driver}
        self._seen |= {
            n: row
            for n, row in rows.items()
            if row.driver != self._driver and row.key and not row.waits
        }

    def seen(self) -> list[Reservation]:
        """What others were seen to evaluate since this was asked last."""
        seen, self._seen = self._seen, {}
        return list(seen.values())

    def note(self, trial: FrozenTrial) -> bool:
        """Takes notice of a trial in the ledger; True where another driver has made it, and lately.

        What this driver had reserved is its own no more where another one has finished it.
        """
        number = self.of(trial)
        if number < 0 or number in self.written or trial.user_attrs.get(DRIVER) == self._driver:
            return False
        self.written[number] = ending_of(trial)
        self.own.discard(number)
        return True


def ending_of(trial: FrozenTrial) -> Ending:
    """What a finished trial says about the evaluation behind it."""
    if "duplicate_of" in trial.user_attrs:
        return Ending.REPEATED
    if trial.user_attrs.get("failure") == WorkerLostError.failure:
        return Ending.UNANSWERED
    return Ending.ANSWERED
