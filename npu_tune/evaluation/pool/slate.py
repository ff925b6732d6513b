"""Shared memory in which a worker notes what it evaluates."""

from __future__ import annotations

import mmap
import os
import struct
import time


class Slate:
    """Where a worker notes which evaluation is under way and since when, for its parent to read.

    A few bytes of shared memory cost less than a microsecond per evaluation; a message would
    cost more than a fast target's evaluation itself.

    Args:
        descriptor: of an open file.
    """

    _FORMAT = "<d64s"

    def __init__(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size == 0:
            os.ftruncate(descriptor, struct.calcsize(self._FORMAT))
        self._memory = mmap.mmap(descriptor, struct.calcsize(self._FORMAT))

    def note(self, key: str | None) -> None:
        """Says that the evaluation under this key begins, or that none is under way."""
        began = 0.0 if key is None else time.monotonic()
        struct.pack_into(self._FORMAT, self._memory, 0, began, (key or "").encode())

    def read(self) -> tuple[str, float] | None:
        """The key of the evaluation that is under way, and for how many seconds it has been."""
        began, key = struct.unpack_from(self._FORMAT, self._memory)
        word = key.rstrip(b"\0").decode()
        return (word, time.monotonic() - began) if began and word else None

    def close(self) -> None:
        """Releases the memory."""
        self._memory.close()
