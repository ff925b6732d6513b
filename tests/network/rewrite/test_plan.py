from __future__ import annotations

import json

import pytest
import tomli_w

from npu_tune.errors import UsageError
from npu_tune.network.rewrite import (
    LayerSplit,
    RewritePlan,
    StripedSegment,
    parse_plan,
    plan_document,
    read_plan,
)

PLAN = RewritePlan(
    (StripedSegment(("a", "b"), 4), StripedSegment(("c", "d", "e"), 2)),
    (LayerSplit("f", "kernels", 2), LayerSplit("g", "rows", 3)),
)
SEGMENT = {"layers": ["a"], "stripes": 2}


@pytest.mark.parametrize(
    ("name", "write"), [("p.json", json.dumps), ("p.toml", tomli_w.dumps), ("p", json.dumps)]
)
def test_a_plan_that_is_written_is_read_as_it_was(tmp_path, name, write):
    (tmp_path / name).write_text(write(plan_document(PLAN)))
    assert read_plan(tmp_path / name) == PLAN


def test_a_plan_may_be_empty():
    assert parse_plan({"version": 1}, source="f") == RewritePlan()


@pytest.mark.parametrize(
    ("document", "key", "says"),
    [
        ({}, "version", "'version' is missing"),
        ({"version": 2}, "version", "'version' is 2"),
        ({"version": 1, "segment": []}, "segment", "no key 'segment'"),
        ({"version": 1, "segments": [{"layers": ["a"]}]}, "segments.stripes", "missing"),
        ({"version": 1, "segments": [{**SEGMENT, "stripes": 1}]}, "segments.stripes", "is 1"),
        ({"version": 1, "segments": [{**SEGMENT, "stripes": "4"}]}, "segments.stripes", "'4'"),
        ({"version": 1, "segments": [{**SEGMENT, "layers": []}]}, "segments.layers", "empty"),
        ({"version": 1, "segments": [{**SEGMENT, "layers": [""]}]}, "segments.layers", "empty"),
        ({"version": 1, "segments": [{**SEGMENT, "rows": 2}]}, "segments.rows", "no key"),
        (
            {"version": 1, "splits": [{"layer": "a", "over": "columns", "parts": 2}]},
            "splits.over",
            "'columns'",
        ),
        (
            {"version": 1, "splits": [{"layer": "a", "over": "rows", "parts": 0}]},
            "splits.parts",
            "cuts nothing",
        ),
    ],
)
def test_a_wrong_key_is_named(document, key, says):
    with pytest.raises(UsageError) as error:
        parse_plan(document, source="plan.json")
    assert error.value.data["key"] == key
    assert says in str(error.value)
    assert error.value.message.startswith("plan.json: ")
    assert error.value.remedy


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    path = tmp_path / "p.json"
    with pytest.raises(UsageError, match="Cannot read the configuration file"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(UsageError, match=r"is not JSON.*call it \.toml"):
        read_plan(path)
    path.write_text("[]")
    with pytest.raises(UsageError, match="no object"):
        read_plan(path)
    toml = tmp_path / "p.toml"
    toml.write_text("version = ")
    with pytest.raises(UsageError, match="is not TOML"):
        read_plan(toml)


def test_values_that_make_no_sense_are_refused_from_python_too():
    with pytest.raises(UsageError, match="no layers"):
        StripedSegment((), 2)
    with pytest.raises(UsageError, match="cuts nothing"):
        StripedSegment(("a",), 1)
    with pytest.raises(UsageError, match="'kernels' or 'rows'"):
        LayerSplit("a", "columns", 2)  # type: ignore[arg-type]
