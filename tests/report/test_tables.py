from __future__ import annotations

import pytest

from npu_tune.columns import columns_of
from npu_tune.report.tables import UNBROKEN, filled, fits, table

HEADER = ["metric", f"best (trial{UNBROKEN}12)", "other core, at its best", "a bound"]
ROWS = [["cycles", "1,000,000", "1,100,000", "900,000"], ["bytes", "2", "3", "1"]]


def lines(width, *args, **options):
    with columns_of(width):
        return table(*args, **options).splitlines()


def test_numbers_stand_flush_right_and_no_line_ends_in_a_blank():
    text = table(["name", "n", ""], [["a", "1", ""], ["long name", "1,000", "x"]])
    assert text.splitlines() == ["name           n", "a              1", "long name  1,000  x"]


def test_what_fits_is_left_as_it_is():
    assert fits(HEADER, ROWS)
    assert lines(80, HEADER, ROWS) == [
        "metric  best (trial 12)  other core, at its best  a bound",
        "cycles        1,000,000                1,100,000  900,000",
        "bytes                 2                        3        1",
    ]


def test_where_there_is_less_room_headers_are_broken_at_their_spaces():
    with columns_of(45):
        assert not fits(HEADER, ROWS)
    assert lines(45, HEADER, ROWS) == [
        "                        other",
        "              best   core, at",
        "metric  (trial 12)   its best  a bound",
        "cycles   1,000,000  1,100,000  900,000",
        "bytes            2          3        1",
    ]


def test_columns_without_room_follow_below_with_the_first_one_repeated():
    below = lines(30, HEADER, ROWS)
    assert max(map(len, below)) <= 30
    blank = below.index("")
    assert below[blank - 2].split() == ["cycles", "1,000,000", "1,100,000"]
    assert below[-2].split() == ["cycles", "900,000"]


def test_texts_are_wrapped_where_that_is_allowed_and_numbers_stand_in_their_first_line():
    rows = [["conv", "precision float32 -> int8, range minmax -> mse", "1,234"]]
    assert lines(40, ["layer", "chosen", "us"], rows, left=2, wrapped=(1,)) == [
        "layer  chosen                         us",
        "conv   precision float32 -> int8,  1,234",
        "       range minmax -> mse",
    ]


def test_a_name_without_a_space_is_broken_where_there_is_no_other_way():
    rows = [["a_layer_of_a_very_long_name_indeed", "x" * 10, "1"]]
    broken = lines(34, ["layer", "chosen", "us"], rows, left=2, wrapped=(0, 1))
    assert max(map(len, broken)) <= 34
    assert "".join(line.split()[0] for line in broken[1:]) == rows[0][0]


def test_a_wider_terminal_gets_wider_tables():
    wide = [f"a reference with a long name {n}" for n in range(4)]
    rows = [["cycles", *("1,000" for _ in wide)]]
    assert len(lines(300, ["metric", *wide], rows)) == 2
    assert max(map(len, lines(300, ["metric", *wide], rows))) > 100


@pytest.mark.parametrize("width", [20, 80])
def test_sentences_go_on_in_the_next_line_and_keep_their_words(width):
    text = "  This sentence has words-with-hyphens and /a/path/that/nobody/may/break in it.\nEnd."
    with columns_of(width):
        wrapped = filled(text)
    assert wrapped.split() == text.split()
    assert all(len(line) <= width or " " not in line.strip() for line in wrapped.splitlines())
    assert wrapped.splitlines()[-1] == "End."
