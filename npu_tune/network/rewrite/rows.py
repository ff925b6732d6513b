"""Which rows of a map an operator reads for some rows of its result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows ``start`` to ``stop - 1`` of a map, as a Python slice counts them."""

    start: int
    stop: int

    @property
    def height(self) -> int:
        return self.stop - self.start

    def union(self, other: Rows) -> Rows:
        """The least range that holds both."""
        return Rows(min(self.start, other.start), max(self.stop, other.stop))

    def within(self, other: Rows) -> Rows:
        """The same rows, counted from the first one of ``other``."""
        return Rows(self.start - other.start, self.stop - other.start)


@dataclass(frozen=True, slots=True)
class PaddedRows:
    """Rows of an input, and how many rows of padding a window finds above and below them."""

    rows: Rows
    pad_top: int = 0
    pad_bottom: int = 0


@dataclass(frozen=True, slots=True)
class RowWindow:
    """A window that slides down a map: of a convolution, a pool, or a pad (a window of one row).

    Args:
        size: rows of the window.
        height: rows of the input, without padding.
        stride: rows from one position to the next.
        dilation: rows from one tap to the next.
        pad_top: rows of padding above the input.
    """

    size: int
    height: int
    stride: int = 1
    dilation: int = 1
    pad_top: int = 0

    def read(self, rows: Rows) -> PaddedRows:
        """What is read for some rows of the result.

        The same window with these pads gives exactly the rows asked for, whatever its rounding:
        ``pad_top + rows + pad_bottom = (rows asked for - 1) * stride + extent``.

        Raises:
            ValueError: if nothing but padding is read.
        """
        first = rows.start * self.stride - self.pad_top
        extent = (self.size - 1) * self.dilation + 1
        last = first + (rows.height - 1) * self.stride + extent
        start, stop = max(first, 0), min(last, self.height)
        if start >= stop:
            raise ValueError(f"rows {rows.start} to {rows.stop - 1} read padding alone")
        return PaddedRows(Rows(start, stop), start - first, last - stop)


def even_parts(size: int, count: int) -> tuple[Rows, ...]:
    """Divides rows (or channels) into parts that differ by one at most, larger ones first."""
    least, more = divmod(size, count)
    starts = [part * least + min(part, more) for part in range(count + 1)]
    return tuple(Rows(a, b) for a, b in pairwise(starts))
