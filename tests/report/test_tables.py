from __future__ import annotations

import pytest

from npu_tune.report.tables import format_ratio, format_value, table


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536, "bytes", "1.5 KiB"),
        (1509949.44, "bytes", "1,474.6 KiB"),
        (220831.0, "", "220,831"),
        (0.98765, "", "0.9877"),
        (12345.678, "", "12,345.7"),
    ],
)
def test_values_are_written_for_people(value, unit, text):
    assert format_value(value, unit) == text


def test_a_ratio_to_nothing_is_a_dash():
    assert format_ratio(1.0, 0.0) == "-"
    assert format_ratio(1.0, 2.0) == "0.500"


def test_numbers_stand_flush_right_and_no_line_ends_in_a_blank():
    text = table(["name", "n", ""], [["a", "1", ""], ["long name", "1,000", "x"]])
    assert text.splitlines() == ["name           n", "a              1", "long name  1,000  x"]
