"""The kinds of arrays that samplers use, and arrays that grow by appending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


class GrowingTable:
    """A table to which rows are appended in amortised constant time.

    Args:
        width: the number of columns.
        dtype: of the numbers.
    """

    def __init__(self, width: int, dtype: DTypeLike = np.float64) -> None:
        self._table: NDArray[Any] = np.empty((64, width), dtype=dtype)
        self._length = 0

    def append(self, row: Sequence[float] | NDArray[Any]) -> None:
        if self._length == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[self._length] = row
        self._length += 1

    def __len__(self) -> int:
        return self._length

    @property
    def array(self) -> NDArray[Any]:
        return self._table[: self._length]


class GrowingColumn:
    """A column of integers to which others are appended in amortised constant time."""

    def __init__(self) -> None:
        self._table = GrowingTable(1, np.int64)

    def append(self, value: int) -> None:
        self._table.append((value,))

    def __len__(self) -> int:
        return len(self._table)

    @property
    def array(self) -> Integers:
        return self._table.array[:, 0]
