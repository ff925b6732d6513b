"""Which of the other drivers are still at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

LEASE_S = 20.0
"""How long a driver that says nothing keeps its reservations; it says something twice a second."""

_FRESH_S = 2.0
"""A driver that has said something so lately is at work."""


class Lives:
    """Tells the dead by their counts that stand still.

    It is told against this process's own clock, so that the machines' clocks need not agree.

    Args:
        own: name of this driver, which lives.
        clock: seconds from any fixed point.
    """

    def __init__(self, own: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def dead(self, beats: Mapping[str, int]) -> set[str]:
        """Those whose lease has run out.

        Args:
            beats: by driver, how often it has said that it is alive.
        """
        now = self._clock()
        self._seen = {
            name: seen
            if (seen := self._seen.get(name)) is not None and seen[0] == beat
            else (beat, now)
            for name, beat in beats.items()
            if name != self._own
        }
        return {name for name, (_, since) in self._seen.items() if now - since > LEASE_S}

    def are_at_work(self) -> bool:
        """Whether all others have just said that they are alive, as far as was looked at."""
        now = self._clock()
        return all(now - since < _FRESH_S for _, since in self._seen.values())
