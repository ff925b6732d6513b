"""The kinds of arrays that samplers use, and arrays that grow by appending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


class GrowingTable:
    """A table to which rows are appended in amortised constant time."""

    def __init__(self, width: int) -> None:
        self._table: Floats = np.empty((64, width))
        self._length = 0

    def append(self, row: Sequence[float] | Floats) -> None:
        if self._length == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[self._length] = row
        self._length += 1

    @property
    def array(self) -> Floats:
        return self._table[: self._length]


class GrowingColumn:
    """A column of integers to which others are appended in amortised constant time."""

    def __init__(self) -> None:
        self._column: Integers = np.empty(64, dtype=np.int64)
        self._length = 0

    def append(self, value: int) -> None:
        if self._length == len(self._column):
            self._column = np.concatenate([self._column, np.empty_like(self._column)])
        self._column[self._length] = value
        self._length += 1

    def __len__(self) -> int:
        return self._length

    @property
    def array(self) -> Integers:
        return self._column[: self._length]
