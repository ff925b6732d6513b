"""What reading one file may take: memory and time, the same for every kind of file.

A file of some kilobytes can stand for gigabytes: lists that are shared, compressed samples,
operators that fill a shape. So a reader counts everything before it makes it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

from npu_tune.errors import ModelError

MOST_BYTES = 1_500_000_000
"""Far more than any network for a microcontroller's accelerator takes, weights included. With the
libraries, a process that reads stays below 2 GB."""
MOST_SECONDS = 5.0
"""Of computing, not of waiting, so that a busy machine refuses nothing that another one reads. A
file is read, and then imported or converted: less than 10 s together."""
MOST_LAYERS = 20_000
"""Some times more than the deepest networks have, and what follows takes time for each."""

_REMEDY = "Check where the file is from; no network for an accelerator of this kind needs that."


class ReadingBudget:
    """What is left for reading one file; whoever opens the file makes it, and it ends with that.

    Args:
        subject: the file or network, for errors.
        most_bytes: that everything read from the file may occupy, in total.
        most_seconds: of computing from now on.
        remedy: what to do where that is not enough.
        clock: seconds of computing of the present thread.
    """

    def __init__(
        self,
        subject: str,
        *,
        most_bytes: int = MOST_BYTES,
        most_seconds: float = MOST_SECONDS,
        remedy: str = _REMEDY,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.subject = subject
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._remedy = remedy
        self._clock = clock
        self._bytes = 0
        self._start = clock()

    @property
    def bytes_left(self) -> int:
        """Memory that may still be taken; never negative."""
        return self._most_bytes - self._bytes

    def scratch(self) -> ReadingBudget:
        """A budget for what is dropped before reading goes on: the memory left, the same end."""
        return copy.copy(self)

    def take(self, size_bytes: int, what: str) -> None:
        """Counts memory that is about to be allocated, and looks at the time.

        Args:
            size_bytes: how much; a size that is no size, as damaged files state, is refused.
            what: is allocated, for errors, such as ``the tensor 'weights'``.

        Raises:
            ModelError: if there is not that much left, or the time is up.
        """
        if size_bytes < 0:
            raise ModelError(
                f"The file of {self.subject!r} is damaged: {what} has {size_bytes} bytes.",
                remedy="Copy or export it again.",
            )
        if size_bytes > self.bytes_left:
            raise ModelError(
                f"{self.subject!r} needs more than {self._most_bytes / 1e9:g} GB of memory to be "
                f"read: {what} takes {size_bytes / 1e9:.3g} GB.",
                remedy=self._remedy,
                bytes=size_bytes,
            )
        self._bytes += size_bytes
        self.check_time()

    def check_layers(self, count: int) -> None:
        """Counts the operators of a file before anything is made of them.

        Raises:
            ModelError: if there are more than any network has.
        """
        if count > MOST_LAYERS:
            raise ModelError(
                f"{self.subject!r} has {count:,} operators; {MOST_LAYERS:,} is the most that is "
                "read.",
                remedy=self._remedy,
                operators=count,
            )

    def check_time(self) -> None:
        """Looks at the time; call it once per step of any loop that the file decides.

        Raises:
            ModelError: if the time is up.
        """
        if self._clock() - self._start > self._most_seconds:
            raise ModelError(
                f"Reading {self.subject!r} takes more than {self._most_seconds:g} s.",
                remedy=self._remedy,
            )
