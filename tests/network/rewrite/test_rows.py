from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from npu_tune.network.rewrite import PaddedRows, Rows, RowWindow, even_parts


@st.composite
def windows(draw) -> tuple[RowWindow, int]:
    """A window, and the rows of its result."""
    window = RowWindow(
        size=draw(st.integers(1, 7)),
        height=draw(st.integers(1, 40)),
        stride=draw(st.integers(1, 4)),
        dilation=draw(st.integers(1, 3)),
        pad_top=draw(st.integers(0, 6)),
    )
    extent = (window.size - 1) * window.dilation + 1
    covered = window.height + window.pad_top + draw(st.integers(0, 6)) - extent
    assume(covered >= 0)
    return window, covered // window.stride + 1


def taps(window: RowWindow, row: int) -> list[int]:
    """The rows that one row of the result multiplies, those in the padding included."""
    first = row * window.stride - window.pad_top
    return [first + tap * window.dilation for tap in range(window.size)]


def read_or_reject(window: RowWindow, rows: Rows) -> PaddedRows:
    try:
        return window.read(rows)
    except ValueError:
        assume(False)
        raise


@given(windows(), st.data())
def test_a_window_on_the_rows_read_meets_the_same_rows_as_on_the_whole_map(case, data):
    window, height = case
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    read = read_or_reject(window, Rows(start, stop))
    part = RowWindow(window.size, read.rows.height, window.stride, window.dilation, read.pad_top)
    assert 0 <= read.rows.start < read.rows.stop <= window.height
    assert min(read.pad_top, read.pad_bottom) >= 0
    for row in range(start, stop):
        whole = taps(window, row)
        own = [tap + read.rows.start for tap in taps(part, row - start)]
        assert own == whole
        real = [tap for tap in whole if 0 <= tap < window.height]
        assert all(read.rows.start <= tap < read.rows.stop for tap in real)
        padding = [tap for tap in whole if not 0 <= tap < window.height]
        assert not any(read.rows.start <= tap < read.rows.stop for tap in padding)


@given(windows(), st.data())
def test_the_rows_read_with_their_pads_give_just_the_rows_asked_for(case, data):
    window, height = case
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    read = read_or_reject(window, Rows(start, stop))
    padded = read.pad_top + read.rows.height + read.pad_bottom
    extent = (window.size - 1) * window.dilation + 1
    assert divmod(padded - extent, window.stride) == (stop - start - 1, 0)


@given(windows())
def test_only_stripes_at_the_border_have_padding(case):
    window, height = case
    for row in range(height):
        read = read_or_reject(window, Rows(row, row + 1))
        assert (read.pad_top == 0) == (row * window.stride >= window.pad_top)


def test_rows_of_padding_alone_are_refused():
    with pytest.raises(ValueError, match="rows 0 to 1 read padding alone"):
        RowWindow(1, 4, pad_top=2).read(Rows(0, 2))


@given(st.integers(1, 300), st.data())
def test_even_parts_cover_everything_once_and_differ_by_one(size, data):
    parts = even_parts(size, data.draw(st.integers(1, size)))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(size))
    heights = [part.height for part in parts]
    assert max(heights) - min(heights) <= 1
    assert heights == sorted(heights, reverse=True)


def test_rows_are_joined_and_counted_from_others():
    assert Rows(3, 5).union(Rows(8, 9)) == Rows(3, 9)
    assert Rows(3, 5).within(Rows(2, 9)) == Rows(1, 3)
