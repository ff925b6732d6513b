"""Nondominated rows of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CHUNK = 256


def nondominated(rows: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the nondominated rows, in rising order; of equal rows the first one.

    Args:
        rows: points, of shape (points, objectives); all objectives are minimised.
    """
    if len(rows) < 2:
        return np.arange(len(rows))
    columns = rows[:, rows.min(axis=0) < rows.max(axis=0)]
    if not columns.shape[1]:
        return np.zeros(1, dtype=np.intp)
    # In lexicographic order only earlier rows can dominate a row.
    order = np.lexsort(columns.T[::-1])
    if columns.shape[1] <= 2:
        return _nondominated_of_two(columns, order)
    kept = np.empty(0, dtype=np.intp)
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        for against in (kept, None):
            others = chunk if against is None else against
            if not len(others) or not len(chunk):
                continue
            covers = np.ones((len(chunk), len(others)), dtype=bool)
            for column in columns.T:
                covers &= column[others][None, :] <= column[chunk][:, None]
            if against is None:
                # Of equal rows only the earlier one dominates.
                covers &= np.tri(len(chunk), k=-1, dtype=bool)
            chunk = chunk[~covers.any(axis=1)]
        kept = np.concatenate((kept, chunk))
    return np.sort(kept)


def _nondominated_of_two(
    columns: NDArray[np.float64], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Nondominated rows of one or two columns in lexicographic order, in one pass."""
    last = columns[order, -1]
    if columns.shape[1] == 1:
        return order[:1]
    best_before = np.concatenate(([np.inf], np.minimum.accumulate(last)[:-1]))
    return np.sort(order[last < best_before])
