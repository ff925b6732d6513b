"""What a damaged TFLite file does, and the limits within which one is read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from numpy.typing import NDArray

from npu_tune.network.budget import ReadingBudget

DAMAGE = (
    struct.error,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""Raised by the FlatBuffers runtime if offsets are out of the file or point to other content."""

_SHARING = 4
"""FlatBuffers may share lists between tables, so that a valid file may have more entries than
bytes. An entry takes four bytes where nothing is shared (a letter of a name takes one), so that
this allows for sharing everything sixteenfold, which is more than any converter writes."""

_TABLE_BYTES = 400
"""Of the objects that a table becomes in Python."""
_NUMBER_BYTES = 48
"""Of a number in a tuple in Python."""

_Item = TypeVar("_Item")


class DamagedError(Exception):
    """The content of the file is inconsistent; an internal signal, turned into a ModelError."""


class Entries:
    """Reads lists of a FlatBuffers file, and counts them before it makes them.

    Args:
        file_bytes: size of the file.
        budget: of everything that is read from it.
    """

    def __init__(self, file_bytes: int, budget: ReadingBudget) -> None:
        self.budget = budget
        self._left = _SHARING * file_bytes

    def tables(self, length: int, get: Callable[[int], _Item], what: str) -> list[_Item]:
        """The tables of a list of a given length."""
        self.count(length, _TABLE_BYTES, what)
        return [get(index) for index in range(length)]

    def numbers(self, length: int, get: Callable[[], NDArray[Any]], what: str) -> tuple[Any, ...]:
        """The numbers of a list of a given length, as plain Python values."""
        if not length:
            return ()
        self.count(length, _NUMBER_BYTES, what)
        return tuple(get().tolist())

    def text(self, raw: bytes | None, what: str) -> str:
        """A text; no longer than the file, so that it may be counted once it is there."""
        if not raw:
            return ""
        self.count(len(raw), 1, what)
        return raw.decode("utf-8", "replace")

    def count(self, length: int, bytes_each: int, what: str) -> None:
        """Counts a list before it is made.

        Raises:
            DamagedError: if a file of this size has no such list.
            ModelError: if the budget does not last.
        """
        self._left -= length
        if length < 0 or self._left < 0:
            raise DamagedError(f"{what} has {length} entries, which do not fit the file")
        self.budget.take(length * bytes_each, what)
