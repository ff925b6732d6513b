from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import UsageError
from npu_tune.quantities import parse_bound, parse_duration_s, parse_limit, parse_size


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
    assert parse_limit(f"sram_bytes <= {bound}") == ("sram_bytes", bound)
    assert parse_limit(f"sram_bytes={bound}") == ("sram_bytes", bound)
    assert parse_bound(f"<= {bound}") == parse_bound(str(bound)) == bound


@pytest.mark.parametrize("text", ["sram_bytes >= 3", "sram_bytes < 3", "sram_bytes > 3"])
def test_a_limit_that_is_no_upper_bound_is_refused(text):
    with pytest.raises(UsageError, match="upper bounds"):
        parse_limit(text)


@pytest.mark.parametrize("text", ["sram_bytes", "<= 3", "sram_bytes <= many"])
def test_a_limit_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError):
        parse_limit(text)
