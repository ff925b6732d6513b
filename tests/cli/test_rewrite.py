from __future__ import annotations

import json

import pytest

PLAN = {
    "version": 1,
    "segments": [{"layers": ["conv1/linear", "stage1/add/linear"], "stripes": 4}],
    "splits": [{"layer": "stage3/conv1/linear", "over": "kernels", "parts": 2}],
}


@pytest.fixture
def plan(here):
    (here / "plan.json").write_text(json.dumps(PLAN))
    return "plan.json"


def test_rewrite_writes_a_file_and_says_how_it_compares(npu_tune, here, plan):
    ended = npu_tune("rewrite", "resnet8", "--configuration", plan, "--out", "n.onnx", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["bytes"] == (here / "n.onnx").stat().st_size
    assert document["plan"] == PLAN
    assert document["layers"]["before"] == 23 < document["layers"]["after"]
    assert document["macs"]["before"] == 12_501_632 < document["macs"]["after"]
    (output,) = document["agreement"]["outputs"]
    assert output["output"] == "probabilities"
    assert output["decibels"] >= 100.0


def test_rewrite_says_it_in_words(npu_tune, plan):
    ended = npu_tune("rewrite", "resnet8", "--configuration", plan, "--out", "n.onnx")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("Wrote n.onnx: 23 layers became ")
    assert "on 4 random inputs" in ended.out


def test_a_file_that_is_there_is_refused_without_force(npu_tune, here, plan):
    (here / "n.onnx").write_text("mine")
    arguments = ("rewrite", "resnet8", "--configuration", plan, "--out", "n.onnx")
    ended = npu_tune(*arguments)
    assert ended.code == 2
    assert "n.onnx is there already." in ended.err
    assert "--force" in ended.err
    assert npu_tune(*arguments, "--force").code == 0


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"version": 2}, 2, "'version' is 2"),
        ({"segments": [{"layers": ["conv1"], "stripes": 99}]}, 2, "has 32 rows"),
        ({"segments": [{"layers": ["conv"], "stripes": 2}]}, 2, "Did you mean 'conv1'?"),
        ({"segments": [{"layers": ["pool"], "stripes": 2}]}, 3, "'pool' (Flatten)"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(
    npu_tune, here, change, code, says
):
    (here / "plan.json").write_text(json.dumps({"version": 1} | change))
    ended = npu_tune(
        "rewrite", "resnet8", "--configuration", "plan.json", "--out", "n.onnx", "--json"
    )
    assert ended.code == code
    error = ended.document["error"]
    assert says in f"{error['message']} {error['remedy']}"
    assert not (here / "n.onnx").exists()
