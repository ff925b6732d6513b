from __future__ import annotations

import pytest

from npu_tune.report.tables import format_figure, format_ratio, table
from npu_tune.targets import Kind, Metric

BYTES = Metric("sram_bytes", "bytes", Kind.ESTIMATED)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (1536, BYTES, "1.5 KiB"),
        (1509949.44, BYTES, "1,474.6 KiB"),
        (220831.0, None, "220,831"),
        (0.98765, None, "0.9877"),
        (12345.678, None, "12,345.7"),
    ],
)
def test_figures_are_written_for_people(value, metric, text):
    assert format_figure(value, metric) == text


def test_a_ratio_to_nothing_is_a_dash():
    assert format_ratio(1.0, 0.0) == "-"
    assert format_ratio(1.0, 2.0) == "0.500"


def test_numbers_stand_flush_right_and_no_line_ends_in_a_blank():
    text = table(["name", "n", ""], [["a", "1", ""], ["long name", "1,000", "x"]])
    assert text.splitlines() == ["name           n", "a              1", "long name  1,000  x"]
