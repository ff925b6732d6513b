"""How fast evaluations finish of late, and so how long the rest takes."""

from __future__ import annotations

from collections import deque

_LATEST = 50
"""Evaluations that are looked at: planned starts, search and polishing differ in speed."""

_LEAST = 4
"""Evaluations that must have finished. The first one waits for workers to start."""


class Pace:
    """When the latest evaluations finished, on any one clock in seconds."""

    def __init__(self) -> None:
        self._finished: deque[float] = deque(maxlen=_LATEST)

    def count(self, second: float) -> None:
        """Takes an evaluation into account that finished then."""
        self._finished.append(second)

    def seconds_for(self, evaluations: int, now: float) -> float | None:
        """How long so many further ones take; None while too few have finished to tell.

        What is waited for longer than for the others makes it longer too.
        """
        if len(self._finished) < _LEAST:
            return None
        first, last = self._finished[0], self._finished[-1]
        return evaluations * (max(now, last) - first) / (len(self._finished) - 1)
