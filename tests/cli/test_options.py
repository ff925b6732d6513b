from __future__ import annotations

import pytest

from npu_tune.cli.options import target_table
from npu_tune.errors import UsageError


def table(*assignments: str):
    return target_table(
        target="npu",
        system_config=None,
        memory_mode=None,
        config=None,
        allow_cpu=False,
        assignments=assignments,
    )


def test_an_assignment_is_a_value_of_toml_or_else_a_plain_word():
    assert table("a=2", "b=true", "c=word", "d=[1, 2]", "e=own.toml", 'f="2"') == {
        "name": "npu",
        "a": 2,
        "b": True,
        "c": "word",
        "d": [1, 2],
        "e": "own.toml",
        "f": "2",
    }


def test_a_point_in_the_key_leads_into_a_table():
    given = table(
        "hardware.accelerators=[1, 2]",
        "hardware.pools.npuRAM5=256 KiB",
        "hardware.pools.npuRAM4=0",
        "rule=vendor",
    )
    assert given == {
        "name": "npu",
        "hardware": {"accelerators": [1, 2], "pools": {"npuRAM5": "256 KiB", "npuRAM4": 0}},
        "rule": "vendor",
    }


def test_a_table_can_be_given_whole():
    assert table("hardware={ accelerators = 2 }", "hardware.clock_mhz=800")["hardware"] == {
        "accelerators": 2,
        "clock_mhz": 800,
    }


@pytest.mark.parametrize("assignments", [("hardware=2", "hardware.accelerators=2")])
def test_a_value_that_is_also_a_table_is_refused(assignments):
    with pytest.raises(UsageError, match="'hardware', which another option gives a value"):
        table(*assignments)


@pytest.mark.parametrize(
    "text", ["hardware", "=2", " =2", "hardware..clock_mhz=2", ".a=2", "a.=2"]
)
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(UsageError, match="no KEY=VALUE"):
        table(text)
