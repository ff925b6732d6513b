"""Progress of a study on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from npu_tune.tuning import Listener, Progress

LINE_EVERY_S = 10.0
"""Rare enough for a log file, often enough to see that something happens."""


@contextmanager
def progress_listener(*, quiet: bool, stream: TextIO | None = None) -> Iterator[Listener | None]:
    """A listener that fits where standard error goes; None where ``quiet``."""
    stream = stream or sys.stderr
    if quiet:
        yield None
    elif stream.isatty():
        with _bar(stream) as listener:
            yield listener
    else:
        lines = ProgressLines(stream)
        yield lines
        lines.finish()


@contextmanager
def _bar(stream: TextIO) -> Iterator[Listener]:
    from tqdm import tqdm  # noqa: PLC0415 -- keeps --help fast

    with tqdm(file=stream, bar_format="{percentage:3.0f}% |{bar:20}| {desc}") as bar:

        def listen(progress: Progress) -> None:
            bar.total = progress.planned
            bar.n = progress.evaluations
            bar.set_description_str(describe(progress))

        yield listen


class ProgressLines:
    """Writes a line from time to time, and the last state at the end.

    Args:
        stream: where the lines go.
        clock: seconds from any fixed point.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._written_at: float | None = None
        self._pending: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        now = self._clock()
        if self._written_at is None or now - self._written_at >= LINE_EVERY_S:
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
    """One line: how far, how good, how fast, how long still."""
    planned = "" if progress.planned is None else f"/{progress.planned}"
    best = "-" if progress.best_cost is None else f"{progress.best_cost:.3f}"
    parts = [
        f"{progress.evaluations}{planned} evaluated",
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
