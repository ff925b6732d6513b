"""A ledger whose writer bears with a storage that is out of reach for a while."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from optuna.trial import FrozenTrial

from npu_tune.errors import LostStorageError, NpuTuneWarning, OutageError
from npu_tune.tuning.ledger.base import Ledger
from npu_tune.tuning.ledger.shared import PROPOSAL, LostReservationError

Answer = TypeVar("Answer")

_FIRST_REST_S = 0.5
"""Between two tries. A failed try may itself take seconds, in which nothing else is done; four
times as long goes by before the next, so that most of the time is the study's."""

_UNMENTIONED_S = 5.0
"""An outage of less is over before a person could do anything about it."""


class PatientLedger(Ledger):
    """Keeps finished trials in memory while they cannot be written, and writes them in order.

    A trial that could not be written at once is lost if the process is killed before it could.

    Args:
        ledger: that is written; it is closed with this one.
        retry_s: how long an outage may last, in seconds.
        folder: of the study, which must stay; None where there is none.
        clock: seconds from any fixed point.
        rest: waits for so many seconds, where there is nothing else to do.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        retry_s: float,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.read_only, self.place = ledger.name, ledger.read_only, ledger.place
        self._ledger = ledger
        self._retry_s = retry_s
        self._folder = folder
        self.clock = clock
        self.rest = rest
        self._trials: list[FrozenTrial] = []
        self._attributes: dict[str, Any] = {}
        self._waiting: deque[FrozenTrial] = deque()
        self._may_be_written = False
        self._out_since: float | None = None
        self._next_try = 0.0
        self._mentioned = False

    @property
    def waiting(self) -> int:
        """Trials that are not written yet."""
        return len(self._waiting)

    @property
    def in_memory(self) -> tuple[list[FrozenTrial], dict[str, Any]]:
        """The trials in order, those that are not written yet included, and the attributes."""
        return self._trials, self._attributes

    def append(self, trial: FrozenTrial) -> int:
        self._check_finished(trial)
        number = len(self._trials)
        self._trials.append(trial)
        self._waiting.append(trial)
        if self.place is not None and self.place.is_shared:
            return self._append_beside()
        if len(self._waiting) > 1:
            self.tick()
            return number
        return self._write_waiting(number)

    def _append_beside(self) -> int:
        """Writes a trial beside other drivers, who may meanwhile have been given its number.

        Raises:
            LostReservationError: if they have; then the trial is nowhere.
        """
        number = self._write_waiting()
        while self._waiting:
            self.rest(max(self._next_try - self.clock(), 0.0))
            self.check()
            number = self._write_waiting()
        return number

    @property
    def is_in_reach(self) -> bool:
        """False while an outage lasts."""
        return self._out_since is None

    def tick(self) -> None:
        """Looks after the storage, and tries again to write what waits, if it is time to.

        Raises:
            LostStorageError: if the storage or the study's folder was taken away.
            OutageError: if the storage has been out of reach for too long.
        """
        self.check()
        while self._waiting and self.clock() >= self._next_try:
            self._write_waiting()

    def flush(self) -> None:
        """Tries once to write what waits, however long ago the last try was."""
        self._next_try = 0.0
        self.tick()

    def settle(self) -> None:
        """Returns once everything is written. Raises like :meth:`tick`."""
        while self._waiting:
            self.rest(max(self._next_try - self.clock(), 0.0))
            self.tick()

    def trials(self) -> list[FrozenTrial]:
        self.settle()
        self._trials = self._insist(self._ledger.trials)
        return list(self._trials)

    def trials_from(self, first: int, until: int | None = None) -> list[FrozenTrial]:
        """As of every ledger; what others have written is in memory from then on, too."""
        found = self._ledger.trials_from(first, until)
        # Behind the ones that were read so far are only this writer's own.
        read = {trial.user_attrs.get(PROPOSAL) for trial in found}
        own = [t for t in self._trials[first:] if t.user_attrs.get(PROPOSAL) not in read]
        self._trials[first:] = [*found, *own]
        return found

    def attempt(self, call: Callable[[], Answer]) -> Answer | None:
        """What a call returns; None where the storage is out of reach just now.

        Raises:
            OutageError: if it has been so for too long.
        """
        if self.clock() < self._next_try:
            return None
        start = self.clock()
        try:
            answer = call()
        except OutageError as error:
            self._put_off(error, start)
            return None
        if not self._waiting:
            self._out_since = None
        return answer

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """What a call returns, which is made until it succeeds or the time is up."""
        return self._insist(call)

    def directions(self) -> list[str]:
        return self._insist(self._ledger.directions)

    def attributes(self) -> dict[str, Any]:
        self._attributes = self._insist(self._ledger.attributes)
        return dict(self._attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._attributes[key] = value
        self.settle()
        self._insist(lambda: self._ledger.set_attribute(key, value))

    def has_writer(self) -> bool:
        return self._ledger.has_writer()

    def drivers(self) -> int:
        return self._ledger.drivers()

    def system_attributes(self) -> dict[str, Any]:
        return self._insist(self._ledger.system_attributes)

    def set_system_attribute(self, key: str, value: Any) -> None:
        self.settle()
        self._insist(lambda: self._ledger.set_system_attribute(key, value))

    def watch_folder(self, folder: Path) -> None:
        """Takes the removal of a folder, which is there, for the loss of the study from now on."""
        self._folder = folder

    def check(self) -> None:
        if self._is_in_reach() and not self._waiting:
            self._out_since = None

    def _is_in_reach(self) -> bool:
        """Looks after folder and storage. That a storage can be looked at ends no outage."""
        if self._folder is not None and not self._folder.is_dir():
            raise LostStorageError(
                f"The study folder {self._folder} was removed while the study ran.",
                path=str(self._folder),
            )
        try:
            self._ledger.check()
        except OutageError as error:
            self._put_off(error, self.clock())
            return False
        return True

    def close(self) -> None:
        self._ledger.close()

    def _write_waiting(self, number: int = 0) -> int:
        """Writes what waits, in order; returns the last one's number, or ``number`` if none was."""
        start = self.clock()
        try:
            while self._waiting:
                number = self._write(self._waiting[0])
                self._waiting.popleft()
                self._out_since, self._mentioned = None, False
        except LostReservationError:
            lost = self._waiting.popleft()
            self._trials = [trial for trial in self._trials if trial is not lost]
            raise
        except OutageError as error:
            self._put_off(error, start)
        return number

    def _write(self, trial: FrozenTrial) -> int:
        found = self._ledger.find(trial) if self._may_be_written else None
        if found is None:
            self._may_be_written = True
            found = self._ledger.append(trial)
        self._may_be_written = False
        return found

    def _insist(self, call: Callable[[], Answer]) -> Answer:
        """What a call returns, which is made until it succeeds or the time is up."""
        while True:
            self._is_in_reach()
            start = self.clock()
            try:
                answer = call()
            except OutageError as error:
                self._put_off(error, start)
                self.rest(max(self._next_try - self.clock(), 0.0))
            else:
                self._out_since, self._mentioned = None, False
                return answer

    def _put_off(self, error: OutageError, start: float) -> None:
        """Sets the time of the next try after one that began at ``start`` and failed.

        Raises:
            OutageError: if no time is left for one.
        """
        now = self.clock()
        if self._out_since is None:
            self._out_since = start
        out_s = now - self._out_since
        if out_s >= self._retry_s:
            raise error
        self._next_try = min(
            now + max(_FIRST_REST_S, 4 * (now - start)), self._out_since + self._retry_s
        )
        if out_s >= _UNMENTIONED_S and not self._mentioned:
            self._mentioned = True
            warnings.warn(
                f"{error.message} The study goes on; what is finished waits in memory and is lost "
                f"if this process is killed. It is tried again for {self._retry_s:g} s in all.",
                NpuTuneWarning,
                stacklevel=2,
            )
