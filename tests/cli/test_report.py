from __future__ import annotations

import sys

import onnx
import pytest

from npu_tune.tuning.folder import read_study_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def study(failing_study):
    return failing_study(30)


def test_a_report_is_written_into_the_folder_of_its_study(npu_tune, study):
    ended = npu_tune("report", study)
    assert ended.code == 0, ended.err
    assert ended.out == f"Wrote {study}/report.html.\n"
    page = (study / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "ds-cnn on fake-npu" in page


def test_what_it_says_is_told_in_the_documented_schema(npu_tune, study):
    ended = npu_tune("report", study, "--markdown", "why.md", "--png", "why.png", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["files"] == ["why.md", "why.png"]
    assert (study.parent / "why.png").read_bytes().startswith(b"\x89PNG")
    assert document["why"]["gains"]
    assert document["why"]["shortfall"] == ""
    assert not (study / "report.html").exists()


def test_both_pages_are_written_where_both_are_asked_for(npu_tune, study):
    ended = npu_tune("report", study, "--markdown", "why.md", "--out", "why.html")
    assert ended.out.splitlines() == ["Wrote why.html.", "Wrote why.md."]
    assert (study.parent / "why.md").read_text().startswith("# ds-cnn on fake-npu\n")


def test_a_copy_of_the_model_carries_the_figures_of_its_layers(npu_tune, study):
    kept = read_study_folder(study).model.path
    ended = npu_tune("report", study, "--netron", "why.onnx", "--markdown", "why.md")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == ["Wrote why.md.", "Wrote why.onnx."]
    before, after = (onnx.load(path) for path in (kept, study.parent / "why.onnx"))
    assert [node.op_type for node in after.graph.node] == [n.op_type for n in before.graph.node]
    assert any(node.metadata_props for node in after.graph.node)


def test_nothing_is_evaluated_for_a_report_where_that_is_asked(npu_tune, study):
    asked = npu_tune("report", study, "--evaluate", "0", "--markdown", "a.md", "--json").document
    given = npu_tune("report", study, "--evaluate", "9m", "--markdown", "a.md", "--json").document
    unknown = [
        sum(gain["gain"] is None and not gain["obstacle"] for gain in each["why"]["gains"])
        for each in (asked, given)
    ]
    assert unknown[0] > unknown[1] == 0


def test_a_report_says_what_is_wrong_with_its_arguments(npu_tune, study):
    ended = npu_tune("report", study, "--evaluate", "soon")
    assert ended.code == 2
    assert "soon" in ended.err
    ended = npu_tune("report", study, "--out", study / "study.toml" / "report.html")
    assert ended.code == 7
    assert "Traceback" not in ended.err


def test_without_bokeh_there_is_a_remedy(npu_tune, study, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    ended = npu_tune("report", study)
    assert ended.code == 9
    assert "npu-tune[report]" in ended.err
    assert "--markdown" in ended.err
    assert npu_tune("report", study, "--markdown", "why.md").code == 0
