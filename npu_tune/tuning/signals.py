"""Ctrl-C and its like: the first one asks the study to stop, the second one ends it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Whether somebody asked the study to stop."""

    requested: bool = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns the first signal that ends a process into a request; the next raises KeyboardInterrupt.

    These are SIGINT, SIGTERM and, of a terminal that was closed, SIGHUP where it is not ignored, as
    ``nohup`` has it.

    Python delivers signals to its main thread only; in any other one nothing is changed.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's protocol
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
