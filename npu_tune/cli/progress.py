"""Progress of a study on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from npu_tune.columns import COLUMNS

if TYPE_CHECKING:
    from npu_tune.tuning import Listener, Progress

LINE_EVERY_S = 10.0
"""Rare enough for a log file, often enough to see that something happens."""

_DRAW_EVERY_S = 0.1
"""Faster than that nobody reads, and some thousand trials may finish in a second."""

_BAR = 20
_LEAST_BAR = 6
"""Columns that the bar takes, at most and at least."""


class Display(ABC):
    """Shows how something proceeds, until it is finished."""

    @abstractmethod
    def __call__(self, progress: Progress) -> None:
        """Shows a moment, now or a little later."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Writes a line that stays."""

    @abstractmethod
    def finish(self) -> None:
        """Leaves the last moment to be seen."""


def display(stream: TextIO | None = None) -> Display:
    """The display that fits where a stream goes; standard error if None."""
    stream = stream or sys.stderr
    return ProgressBar(stream) if stream.isatty() else ProgressLines(stream)


@contextmanager
def progress_listener(
    *, quiet: bool, opening: str, stream: TextIO | None = None
) -> Iterator[Listener | None]:
    """A listener that fits where standard error goes; None where ``quiet``.

    ``opening`` is written once the study has really begun.
    """
    if quiet:
        yield None
        return
    shown = display(stream)
    has_begun = False

    def listen(progress: Progress) -> None:
        nonlocal has_begun
        if not has_begun and not progress.phase.is_opening:
            has_begun = True
            shown.say(opening)
        shown(progress)

    try:
        yield listen
    finally:
        shown.finish()


class ProgressBar(Display):
    """A bar that is drawn over and over in the last line of a terminal.

    Args:
        stream: of the terminal.
        clock: seconds from any fixed point.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._bar: Any = None
        self._drawn: Progress | None = None
        self._drawn_at = -math.inf
        self._pending: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        is_new = self._drawn is None or self._drawn.phase != progress.phase
        if is_new or self._clock() - self._drawn_at >= _DRAW_EVERY_S:
            self._draw()

    def say(self, text: str) -> None:
        from tqdm import tqdm  # noqa: PLC0415 -- keeps --help fast

        tqdm.write(text, file=self._stream)

    def finish(self) -> None:
        """Leaves the last state in its line and begins a new one; phases before a study go."""
        if self._pending is not None:
            self._draw()
        if self._bar is not None:
            self._bar.leave = self._drawn is not None and not self._drawn.phase.is_before
            self._bar.close()

    def _draw(self) -> None:
        from tqdm import tqdm  # noqa: PLC0415 -- keeps --help fast

        if self._pending is None:
            return
        progress, self._pending = self._pending, None
        # In a full line some terminals go on in the next one.
        columns = _columns(self._stream) - 1
        text = describe(progress, width=columns)
        room = min(columns - len(text) - len("|| "), _BAR)
        has_bar = progress.planned and room >= _LEAST_BAR and not progress.phase.is_before
        if self._bar is None:
            self._bar = tqdm(file=self._stream, dynamic_ncols=True, bar_format="{desc}")
        self._bar.bar_format = f"|{{bar:{room}}}| {{desc}}" if has_bar else "{desc}"
        self._bar.total = progress.planned
        self._bar.n = progress.evaluations
        self._bar.set_description_str(text)
        self._drawn, self._drawn_at = progress, self._clock()


class ProgressLines(Display):
    """Writes a line when something begins that may take long, at the first result, then and when.

    Args:
        stream: where the lines go.
        clock: seconds from any fixed point.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._written_at = -math.inf
        self._written: Progress | None = None
        self._has_result = False
        self._pending: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._pending = progress
        now = self._clock()
        is_first_result = progress.best_cost is not None and not self._has_result
        if is_first_result or self._is_new_quiet_phase(progress) or self._is_time(now):
            self._has_result |= is_first_result
            self._written_at = now
            self._write()

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def finish(self) -> None:
        """Writes the last state unless it stands there already."""
        if self._pending is not None:
            self._write()

    def _is_time(self, now: float) -> bool:
        return now - self._written_at >= LINE_EVERY_S

    def _is_new_quiet_phase(self, progress: Progress) -> bool:
        """Whether a phase begins in which no trial finishes that would make another line."""
        phase = progress.phase
        is_new = self._written is None or self._written.phase != phase
        return is_new and (phase.is_before or phase.is_after)

    def _write(self) -> None:
        if self._pending is not None:
            self.say(describe(self._pending))
        self._written, self._pending = self._pending, None


def describe(progress: Progress, *, width: int = COLUMNS, state: str = "") -> str:
    """One line: what the study is at, how far, how good, how long still.

    Args:
        progress: of the study.
        state: instead of what it is at.
        width: columns that the line may take. What matters least is left out first; what even
            then does not fit is cut off.
    """
    if progress.phase.is_before:
        return _cut(f"{progress.phase} ...", width)
    planned = "" if progress.planned is None else f"/{progress.planned}"
    best = "" if progress.best_cost is None else f"best {progress.best_cost:.3f}"
    left = "" if progress.time_left_s is None else f"{format_duration(progress.time_left_s)} left"
    if progress.stopping:
        left = f"stopping: {progress.running} running, Ctrl-C drops them"
    speed = progress.trials_per_second
    # By how much each of them matters.
    parts = {
        "far": (0, f"{state or progress.phase} {progress.evaluations}{planned}"),
        "best": (2, best),
        "front": (4, f"front {progress.front_size}" if progress.front_size else ""),
        "failed": (3, f"{progress.failed} failed" if progress.failed else ""),
        "cached": (6, f"{progress.cached} cached" if progress.cached else ""),
        "speed": (5, f"{speed:.1f} trials/s" if speed else ""),
        "drivers": (6, f"{progress.drivers} drivers" if progress.drivers > 1 else ""),
        "left": (1, left),
    }
    shown = {name: part for name, part in parts.items() if part[1]}
    while len(line := ", ".join(text for _, text in shown.values())) > width and len(shown) > 1:
        del shown[max(shown, key=lambda name: shown[name][0])]
    return _cut(line, width)


def format_duration(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cut(line: str, width: int) -> str:
    """At most so many columns, with points where something is missing."""
    return line if len(line) <= width else f"{line[: max(width - 2, 0)]}.."[:width]


def _columns(stream: TextIO) -> int:
    """How wide a terminal is now; what is usual where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS
