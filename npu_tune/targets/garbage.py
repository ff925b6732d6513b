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

    The collector knows one set of frozen objects for the whole process. So whoever releases
    thaws everything, has the garbage collected, and freezes again where others still hold on.
    """

    _held = 0
    """How many are not released yet."""

    def __init__(self) -> None:
        self._released = False
        Frozen._held += 1
        gc.freeze()

    def release(self) -> None:
        """Thaws, and collects what has become garbage in the meantime; once is enough."""
        if self._released:
            return
        self._released = True
        Frozen._held -= 1
        gc.unfreeze()
        gc.collect()
        if Frozen._held:
            gc.freeze()
