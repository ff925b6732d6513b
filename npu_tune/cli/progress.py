"""Progress of a study on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from npu_tune.tuning import Listener, Progress

LINE_EVERY_S = 10.0
"""Rare enough for a log file, often enough to see that something happens."""


@contextmanager
def progress_listener(
    *, quiet: bool, opening: str, stream: TextIO | None = None
) -> Iterator[Listener | None]:
    """A listener that fits where standard error goes; None where ``quiet``.

    ``opening`` is written once the study has really begun.
    """
    stream = stream or sys.stderr
    if quiet:
        yield None
        return
    shown = _Bar(stream) if stream.isatty() else ProgressLines(stream)
    has_begun = False

    def listen(progress: Progress) -> None:
        nonlocal has_begun
        if not has_begun:
            has_begun = True
            print(opening, file=stream, flush=True)
        shown(progress)

    try:
        yield listen
    finally:
        shown.finish()


class _Bar:
    """A bar that is drawn over and over in the last line of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        from tqdm import tqdm  # noqa: PLC0415 -- keeps --help fast

        if self._bar is None:
            self._bar = tqdm(file=self._stream, dynamic_ncols=True, bar_format="|{bar:20}| {desc}")
        self._bar.total = progress.planned
        self._bar.n = progress.evaluations
        self._bar.set_description_str(describe(progress))

    def finish(self) -> None:
        """Leaves the last state in its line and begins a new one."""
        if self._bar is not None:
            self._bar.close()


class ProgressLines:
    """Writes a line at the start, at the first result, from time to time, and at the end.

    Args:
        stream: where the lines go.
        clock: seconds from any fixed point.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._written_at = -math.inf
        self._has_result = False
        self._pending: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        now = self._clock()
        is_first_result = progress.best_cost is not None and not self._has_result
        if is_first_result or now - self._written_at >= LINE_EVERY_S:
            self._has_result |= is_first_result
            self._written_at = now
            self._write()

    def finish(self) -> None:
        """Writes the last state unless it stands there already."""
        if self._pending is not None:
            self._write()

    def _write(self) -> None:
        if self._pending is not None:
            print(describe(self._pending), file=self._stream, flush=True)
        self._pending = None


def describe(progress: Progress) -> str:
    """One line of 80 columns at most times: how far, how good, how fast, how long still."""
    planned = "" if progress.planned is None else f"/{progress.planned}"
    best = "-" if progress.best_cost is None else f"{progress.best_cost:.3f}"
    parts = [
        f"{progress.evaluations}{planned}",
        *(["polishing"] if progress.polishing else []),
        f"best {best} of baseline",
        f"front {progress.front_size}",
        f"{progress.failed} failed",
        f"{progress.trials_per_second:.1f} trials/s",
    ]
    if progress.stopping:
        parts.append(f"stopping, {progress.running} still running (Ctrl-C again drops them)")
    elif progress.time_left_s is not None:
        parts.append(f"{format_duration(progress.time_left_s)} left")
    return ", ".join(parts)


def format_duration(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
