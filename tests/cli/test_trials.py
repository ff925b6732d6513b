from __future__ import annotations

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def study(failing_study):
    """A finished study of which a list leaves out some."""
    return failing_study(70)


def test_trials_are_listed_with_cost_or_failure(npu_tune, study):
    ended = npu_tune("trials", study)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].split() == ["trial", "origin", "cycles", "sram_bytes", "cost", "changes"]
    assert "earlier trials are left out" in lines[-1]


def test_trials_answer_in_the_schema(npu_tune, study):
    document = npu_tune("trials", study, "--json").document
    assert [trial["trial"] for trial in document["trials"]] == list(range(len(document["trials"])))
    assert document["trials"][0]["cost"] == 1.0
    failed = [trial for trial in document["trials"] if trial["failure"]]
    assert failed
    assert all(trial["cost"] is None and trial["message"] for trial in failed)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_have_metrics_and_changes_in_columns(npu_tune, study, kind):
    ended = npu_tune("trials", study, f"--{kind}", f"out/trials.{kind}", "--json")
    assert ended.code == 0, ended.err
    path = study.parent / "out" / f"trials.{kind}"
    frame = pd.read_csv(path) if kind == "csv" else pd.read_parquet(path)
    trials = ended.document["trials"]
    assert list(frame["trial"]) == [trial["trial"] for trial in trials]
    assert frame["cycles"].iloc[0] == trials[0]["metrics"]["cycles"]
    for trial, (_, row) in zip(trials, frame.iterrows(), strict=True):
        assert all(str(row[name]) == str(value) for name, value in trial["changes"].items())


def test_a_file_that_cannot_be_written_is_an_error_of_the_storage(npu_tune, study):
    ended = npu_tune("trials", study, "--csv", study / "study.toml" / "trials.csv")
    assert ended.code == 7
    assert "Traceback" not in ended.err
