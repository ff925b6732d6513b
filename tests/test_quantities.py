from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import UsageError
from npu_tune.quantities import (
    Bounds,
    Quantity,
    parse_bounds,
    parse_duration_s,
    parse_limit,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256 KiB", 262144),
        ("256KiB", 262144),
        ("1.5 MB", 1.5e6),
        ("262144", 262144),
        ("262_144", 262144),
        ("2e3", 2000),
        ("8 b", 8),
    ],
)
def test_sizes_are_read_as_people_write_them(text, expected):
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15 min", 900), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("45", 45)],
)
def test_durations_are_read_as_people_write_them(text, expected):
    assert parse_duration_s(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "2 parsec", "0s", "-3s", "1h-30m"])
def test_a_duration_that_makes_no_sense_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="90s"):
        parse_duration_s(text)


@given(st.integers(min_value=1, max_value=2**40))
def test_a_limit_is_read_back_from_its_text(bound):
    most = Bounds(most=Quantity(bound))
    assert parse_limit(f"sram_bytes <= {bound}") == ("sram_bytes", most)
    assert parse_limit(f"sram_bytes={bound}") == ("sram_bytes", most)
    assert parse_bounds(f"<= {bound}") == parse_bounds(str(bound)) == most
    assert parse_bounds(f">= {bound}") == Bounds(least=Quantity(bound))


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("0.3 ms", 0.3, "ms"),
        ("300us", 300, "us"),
        ("300 us", 300, "us"),
        ("90 %", 90, "%"),
        ("90%", 90, "%"),
        ("256 KiB", 256, "kib"),
        ("0.88", 0.88, ""),
        ("-1", -1, ""),
    ],
)
def test_a_limit_keeps_its_unit_with_and_without_a_space(text, number, unit):
    assert Quantity.parse(text) == Quantity(number, unit)
    assert parse_limit(f"metric>={text}") == ("metric", Bounds(least=Quantity(number, unit)))
    assert parse_limit(f"metric <= {text} ") == ("metric", Bounds(most=Quantity(number, unit)))


QUANTITIES = st.builds(
    Quantity,
    st.floats(-1e12, 1e12),
    st.sampled_from(["", "%", "ns", "us", "ms", "s"]),
)


@given(
    st.builds(Bounds, st.none() | QUANTITIES, st.none() | QUANTITIES).filter(
        lambda bounds: bounds.most is not None or bounds.least is not None
    )
)
def test_bounds_are_read_back_from_what_is_written(bounds):
    document = bounds.to_document()
    texts = str(document) if isinstance(document, float) else document
    assert parse_bounds(texts) == bounds


def test_an_upper_bound_in_bytes_counts_in_digests_as_bytes():
    assert parse_bounds("256 KiB").to_document() == "<= 256.0 kib"
    assert parse_bounds("256 KiB").to_digest() == parse_bounds("262144").to_digest() == 262144.0
    assert parse_bounds(">= 256 KiB").to_digest() == ">= 256.0 kib"


def test_both_bounds_of_a_metric_stand_together():
    both = parse_bounds([">= 80 %", "<= 0.9"])
    assert both == Bounds(most=Quantity(0.9), least=Quantity(80, "%"))
    assert both.to_document() == ["<= 0.9", ">= 80.0 %"]


@pytest.mark.parametrize("texts", [["3", "<= 4"], [">= 3", ">= 3"]])
def test_the_same_bound_twice_is_refused(texts):
    with pytest.raises(ValueError, match="two limits"):
        parse_bounds(texts)


@pytest.mark.parametrize("text", ["sram_bytes < 3", "sram_bytes > 3"])
def test_a_limit_that_leaves_its_bound_out_is_refused(text):
    with pytest.raises(UsageError, match="Write <= for an upper bound, >= for a lower one"):
        parse_limit(text)


@pytest.mark.parametrize(
    "text", ["sram_bytes", "<= 3", "sram_bytes <= many", "a >= 3 parsec", "a <= nan", "a <= 1e999"]
)
def test_a_limit_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError):
        parse_limit(text)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("300 us", "ms", 0.3),
        ("0.3", "ms", 0.3),
        ("2 MS", "us", 2000.0),
        ("256 KiB", "bytes", 262144.0),
        ("256 KiB", "B", 262144.0),
        ("256 KiB", "KiB", 256.0),
        ("1 MB", "kB", 1000.0),
        ("90 %", "", 0.9),
        ("90 %", "%", 90.0),
        ("5", "cycles", 5.0),
    ],
)
def test_a_quantity_is_turned_into_the_unit_of_a_metric(text, unit, expected):
    assert Quantity.parse(text).in_unit(unit, metric="m") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("3 ms", "B"), ("3 B", "ms"), ("3 ms", "cycles"), ("3 %", "ms"), ("3 s", "")],
)
def test_a_quantity_of_something_else_than_the_metric_is_refused(text, unit):
    with pytest.raises(UsageError, match="The limit of 'm' is 3"):
        Quantity.parse(text).in_unit(unit, metric="m")
