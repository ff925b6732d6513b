from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from npu_tune.errors import MOST_CHARACTERS, TargetError
from npu_tune.validation import Table, closest_hint, known_remedy, read_toml, validated


class Inner(Table):
    size: int = 1
    names: list[str] = Field(default_factory=list)


class Outer(Table):
    first: Inner
    maybe: Inner | None = None
    many: dict[str, Inner] = Field(default_factory=dict)


def told(document):
    with pytest.raises(TargetError) as caught:
        validated(Outer, document, source="file.toml", whole="file", kind=TargetError)
    return caught.value


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"first": {}, "other": 1}, "other"),
        ({"first": {"siz": 1}}, "first.siz"),
        ({"first": {}, "maybe": {"siz": 1}}, "maybe.siz"),
        ({"first": {}, "many": {"a": {"siz": 1}}}, "many.a.siz"),
    ],
)
def test_an_unknown_key_is_named_with_those_of_its_own_table(document, key):
    error = told(document)
    assert isinstance(error, TargetError)
    assert error.message == f"file.toml: there is no key {key!r}."
    known = "first, maybe, many" if key == "other" else "size, names"
    assert error.remedy.endswith(f"Known are {known}.")


def test_a_missing_key_is_named():
    assert told({}).message == "file.toml: the key 'first' is missing."
    assert told({}).data["key"] == "first"


def test_a_wrong_value_is_shown_with_its_key():
    assert told({"first": {"size": "1"}}).message.startswith(
        "file.toml: the key 'first.size' is '1': "
    )


def test_of_a_list_the_wrong_value_is_shown_rather_than_its_place():
    assert told({"first": {"names": ["a", 2]}}).message.startswith(
        "file.toml: the key 'first.names' is 2: "
    )


def test_what_is_no_table_at_all_is_named_as_a_whole():
    assert told([]).message == "file.toml: the key 'file' is []: it takes a table."


def test_known_names_are_listed_the_closest_one_first():
    assert known_remedy("acelerators", ("clock", "accelerators")) == (
        "Did you mean 'accelerators'? Known are clock, accelerators."
    )
    assert known_remedy("x", ["clock"]) == "Known are clock."


def test_a_hint_names_the_closest_name_above_the_cutoff():
    assert closest_hint("resnet-8", ["resnet8", "ds-cnn"]) == "Did you mean 'resnet8'? "
    assert closest_hint("re", ["resnet8"]) == ""
    assert closest_hint("re", ["resnet8"], cutoff=0.4) == "Did you mean 'resnet8'? "


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 30_000) + " = 1",
        "[" + " . ".join(['"a"'] * 30_000) + "]",
        "a = " + "[" * 30_000,
        "a = " + "{b = " * 30_000,
        "a = " + "9" * 30_000,
        "x" * 1_000_001,
        "#" * 1_000_001,
    ],
)
def test_a_text_that_is_deeper_or_longer_than_anybody_writes_is_no_toml(tmp_path, text):
    file = tmp_path / "file.toml"
    file.write_text(text)
    with pytest.raises(TargetError, match="is not TOML") as caught:
        read_toml(file, whole="hardware file", kind=TargetError)
    assert len(str(caught.value)) < 500


def test_numbers_and_names_with_many_points_are_read(tmp_path):
    file = tmp_path / "file.toml"
    file.write_text("a = [" + "0.5, " * 1000 + "]\r\nb = '" + "x." * 60 + "'\n", newline="")
    assert len(read_toml(file, whole="hardware file", kind=TargetError)["a"]) == 1000


def test_a_device_that_never_ends_is_not_read_to_its_end():
    with pytest.raises(TargetError, match="more than 1,000,000 bytes"):
        read_toml(Path("/dev/zero"), whole="hardware file", kind=TargetError)


def test_a_name_too_long_to_be_one_is_compared_with_nothing_and_shown_in_part():
    error = told({"x" * 100_000: 1, "first": {}})
    assert len(error.message) <= MOST_CHARACTERS
    assert closest_hint("y" * 100_000, ["y" * 99_999]) == ""
