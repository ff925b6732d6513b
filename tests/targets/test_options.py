"""The options of a family: what is refused, what is told, what becomes a flag."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from npu_tune.errors import TargetError
from npu_tune.targets.options import (
    OptionInfo,
    option_flags,
    option_texts,
    options_of,
    read_options,
)
from npu_tune.validation import Table


class Options(Table):
    board: str = Field(description="address of the board")
    clock_mhz: Annotated[int | None, OptionInfo(flag=True), Field(gt=0)] = Field(
        default=None, description="of the board"
    )
    mode: Literal["fast", "small"] = Field(default="fast", description="what is favoured")
    firmware: Annotated[Path | None, Field(strict=False), OptionInfo(flag=True)] = Field(
        default=None, description="path of an image"
    )
    dry: Annotated[bool, OptionInfo(flag=True)] = Field(
        default=False, description="true to try only"
    )
    table: Annotated[dict[str, int], OptionInfo(takes="a table, such as { a = 1 }")] = Field(
        default_factory=dict, description="numbers by name"
    )
    names: Annotated[str, OptionInfo(more=lambda: "there are a, b")] = Field(
        default="a", description="one of the names"
    )


def test_what_is_valid_is_read():
    read = read_options(Options, {"board": "b", "firmware": "image.bin"}, target="npu")
    assert (read.board, read.firmware, read.mode) == ("b", Path("image.bin"), "fast")


@pytest.mark.parametrize(
    ("options", "sentence", "remedy"),
    [
        ({"bord": "b"}, "The target 'npu' has no option 'bord'.", "Did you mean 'board'? Known"),
        ({}, "The target 'npu' needs the option board.", "It takes text."),
        ({"board": 4}, "The option board is 4.", "It takes text."),
        ({"clock_mhz": "fast"}, "The option clock_mhz is 'fast'.", "It takes a whole number."),
        ({"dry": "yes"}, "The option dry is 'yes'.", "It takes true or false."),
        ({"mode": "fats"}, "The option mode is 'fats'.", "Did you mean 'fast'? Known are fast, s"),
        ({"firmware": 4}, "The option firmware is 4.", "It takes a path in quotes."),
        ({"table": 4}, "The option table is 4.", "It takes a table, such as { a = 1 }."),
        ({"table": {"a": "b"}}, "The option table.a is 'b'.", "It takes a table, such as"),
    ],
)
def test_what_is_invalid_is_refused_with_the_remedy(options, sentence, remedy):
    given = options if "board" in options or not options or "bord" in options else None
    with pytest.raises(TargetError) as caught:
        read_options(
            Options, given if given is not None else {"board": "b", **options}, target="npu"
        )
    assert caught.value.message == sentence
    assert caught.value.remedy.startswith(remedy)


def test_texts_are_the_descriptions_with_what_is_found_out_behind_them():
    texts = option_texts(Options)
    assert texts["board"] == "address of the board"
    assert texts["names"] == "one of the names; there are a, b"


def test_only_declared_options_are_flags_and_know_what_they_take():
    flags = {flag.name: flag for flag in option_flags(Options)}
    assert list(flags) == ["--clock-mhz", "--firmware", "--dry"]
    assert [flag.is_switch for flag in flags.values()] == [False, False, True]
    assert [flag.is_text for flag in flags.values()] == [False, True, False]


class Mode(StrEnum):
    FAST = "fast"
    SMALL = "small"


@dataclass(frozen=True)
class Made:
    name: str = "made"
    metrics: tuple[str, ...] = ()
    units: int = field(default=4, metadata={"description": "how many", "flag": True})
    firmware: Path | None = None
    sizes: tuple[int, ...] = (1, 2)
    mode: Mode = Mode.FAST
    kept: list[str] = field(default_factory=list)
    inner: int = field(default=0, init=False)


def test_the_fields_of_a_dataclass_make_a_table():
    table = options_of(Made)
    assert list(table.model_fields) == ["units", "firmware", "sizes", "mode", "kept"]
    assert option_texts(table)["units"] == "how many"
    assert [flag.name for flag in option_flags(table)] == ["--units"]
    given = {"firmware": "a.bin", "sizes": [3, 4], "mode": "small"}
    read = read_options(table, given, target="made")
    assert (read.units, read.firmware, read.sizes) == (4, Path("a.bin"), (3, 4))
    assert read.mode is Mode.SMALL
    for wrong in ({"units": "4"}, {"sizes": ["3"]}, {"mode": "big"}, {"name": "other"}):
        with pytest.raises(TargetError):
            read_options(table, wrong, target="made")


def test_what_is_no_dataclass_has_no_options():
    with pytest.raises(TargetError, match=r"has no option 'a'\. It has none\."):
        read_options(options_of(object), {"a": 1}, target="npu")
