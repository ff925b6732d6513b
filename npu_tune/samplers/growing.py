"""A table that grows row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class GrowingTable:
    """A table to which rows are appended in amortised constant time."""

    def __init__(self, width: int) -> None:
        self._table: NDArray[np.float64] = np.empty((64, width))
        self._length = 0

    def append(self, row: Sequence[float] | NDArray[np.float64]) -> None:
        if self._length == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[self._length] = row
        self._length += 1

    @property
    def array(self) -> NDArray[np.float64]:
        return self._table[: self._length]
