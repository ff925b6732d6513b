"""The place where several drivers of one study agree: a text that one of them changes at a time."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from optuna.trial import FrozenTrial

from npu_tune.errors import StorageError

Answer = TypeVar("Answer")

Change = Callable[[str], tuple[str, Answer]]
"""Makes another text of one, and an answer; what it raises leaves everything as it was."""

PROPOSAL = "proposal"
"""The attribute of trials that several drivers write of which no two have the same."""

JOIN_WAIT_S = 60.0
"""How long a driver waits for the one that is at work to let it in, or to end."""

JOIN_EVERY_S = 0.1


class SharedPlace(ABC):
    """Says whether a ledger's writer is alone, and lets others in.

    A driver that is alone keeps all others out. One that wants to join knocks; the one at work
    sees that, shares, and from then on all of them write in turn. The text is a JSON object, in which
    ``beats`` has a key for every driver.

    Attributes:
        is_shared: False while this process keeps all other writers out.
        heir_of: the drivers whose text this process has found when none of them was left, so that
            all were killed; None where there was no such text.
        finish: says how the text changes with a finished trial that is appended.
    """

    is_shared: bool = False
    heir_of: frozenset[str] | None = None
    finish: Callable[[FrozenTrial], Change[None]]

    @abstractmethod
    def is_knocked(self) -> bool:
        """Whether another driver wants to join."""

    @abstractmethod
    def share(self, text: str) -> None:
        """Lets others in, who find this text."""

    @abstractmethod
    def keep(self, is_alone: Callable[[str], bool]) -> bool:
        """Keeps others out again; False where there are others.

        Args:
            is_alone: says by the text whether there is nobody; asked while nobody can change it.
        """

    @abstractmethod
    def depart(self) -> None:
        """Leaves the study to the others: this process writes no more."""

    @abstractmethod
    def exchange(self, change: Change[Answer]) -> Answer:
        """Changes the text while nobody else does.

        Raises:
            OutageError: if the storage is out of reach.
            StorageError: if there is no text, as the others are gone.
        """


def drivers_in(text: str) -> frozenset[str] | None:
    """The drivers that a text names; None where it is damaged."""
    try:
        return frozenset(json.loads(text)["beats"])
    except (LookupError, TypeError, ValueError):
        return None


class LostReservationError(StorageError):
    """A number that was this driver's and is another one's now, since its lease ran out."""


class OtherWriterError(StorageError):
    """A study that another process writes, beside which this one may not write."""


def other_writer(study: str, **data: Any) -> OtherWriterError:
    """The error for a study that another process writes.

    Args:
        study: how it is called.
        data: for programs.
    """
    return OtherWriterError(
        f"Another process is writing the study {study}.",
        remedy="Wait until it has finished, or stop it.",
        **data,
    )


def no_board(name: str) -> StorageError:
    """The error for a study whose drivers went on without this one."""
    return StorageError(
        f"The other drivers of the study {name!r} have gone on without this one.",
        remedy="Run the same command again; every finished trial is kept.",
        name=name,
    )


def wait_to_join(attempt: Callable[[], bool], *, patience_s: float) -> bool:
    """Tries to get in until it succeeds or the time is up; says whether it did."""
    deadline = time.monotonic() + patience_s
    while not attempt():
        if time.monotonic() >= deadline:
            return False
        time.sleep(JOIN_EVERY_S)
    return True
