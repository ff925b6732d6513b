"""Python's garbage collector, kept out of the way of short, allocating work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps the garbage collector from looking through half-made objects; it runs afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Frozen:
    """Keeps what lives long now out of the garbage collector's sight until it is released.

    The collector knows one set of frozen objects for the whole process, which thaws once nobody
    holds on to it. Looking for garbage among all of them takes up to a second in a large process,
    so only every ``_COLLECT_EVERY``-th release does so.
    """

    _held = 0
    """How many are not released yet."""
    _since = 0
    """How many were released since garbage was looked for."""

    def __init__(self) -> None:
        self._released = False
        Frozen._held += 1
        gc.freeze()

    def release(self) -> None:
        """Leaves what was frozen to the collector; once is enough."""
        if self._released:
            return
        self._released = True
        Frozen._held -= 1
        Frozen._since += 1
        is_time = Frozen._since >= _COLLECT_EVERY
        if Frozen._held and not is_time:
            return
        gc.unfreeze()
        if is_time:
            Frozen._since = 0
            gc.collect()
        if Frozen._held:
            gc.freeze()


_COLLECT_EVERY = 8
