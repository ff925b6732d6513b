from __future__ import annotations

import json
import subprocess

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def study(npu_tune, here):
    """A finished study of a small budget."""
    ended = npu_tune(
        "tune", "ds-cnn", "--target", "fake-failing", "--workers", 1, "--evaluations", 40,
        "--study", "s", "--quiet",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return here / "s"


def test_show_prints_best_front_layers_and_failures(npu_tune, study):
    ended = npu_tune("show", study)
    assert ended.code == 0, ended.err
    for words in ("best (trial", "Front (", "Layers that trial", "Failures (", "other compiler"):
        assert words in ended.out


def test_show_answers_in_the_schema_with_kinds_and_references(npu_tune, study):
    document = npu_tune("show", study, "--json").document
    assert document["command"] == "show"
    assert {metric["kind"] for metric in document["metrics"]} == {"simulated"}
    assert list(document["references"]) == ["other compiler"]
    assert document["layers"]
    assert document["yardsticks"][0]["label"] == "baseline"


def test_show_draws_a_picture(npu_tune, study):
    ended = npu_tune("show", study, "--plot", "out.png")
    assert ended.code == 0, ended.err
    assert (study.parent / "out.png").read_bytes().startswith(b"\x89PNG")


def test_show_of_a_folder_without_a_study_is_a_usage_error(npu_tune, here):
    ended = npu_tune("show", "nowhere")
    assert ended.code == 2
    assert "no study" in ended.err


def test_show_works_while_the_study_runs(script, environment, here, npu_tune):
    process = subprocess.Popen(
        [
            *script, "tune", "ds-cnn", "--target", "fake-npu", "--workers", "1", "--study", "s",
            "--evaluations", "1000000",
        ],
        cwd=here, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for line in process.stderr:
            if "best" in line and not line.startswith("0/"):
                break
        document = npu_tune("show", "s", "--json").document
        assert process.poll() is None
        assert document["baseline"]
        assert document["stopped"] is None
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_a_trial_is_exported_with_its_exact_metrics(npu_tune, study):
    ended = npu_tune("export", study, "--pick", "best", "--out", "out/best", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["metrics"] == document["picked"]["metrics"]
    assert (
        document["picked"]["trial"] == npu_tune("show", study, "--json").document["best"]["trial"]
    )
    model = study.parent / document["files"]["model"]
    assert model.is_file()


@pytest.mark.parametrize("pick", ["knee", "cycles", "sram_bytes", "0"])
def test_a_trial_is_picked_by_knee_metric_or_number(npu_tune, study, pick):
    ended = npu_tune("export", study, "--pick", pick, "--out", "out")
    assert ended.code == 0, ended.err
    assert "Built trial" in ended.out
    assert "simulated" in ended.out


def test_an_unknown_pick_is_a_usage_error(npu_tune, study):
    ended = npu_tune("export", study, "--pick", "speed", "--out", "out")
    assert ended.code == 2
    assert "knee" in ended.err
    assert not (study.parent / "out").exists()


def test_a_failed_trial_is_not_exported(npu_tune, study):
    failed = npu_tune("show", study, "--json").document["failures"][0]["trial"]
    ended = npu_tune("export", study, "--pick", failed, "--out", "out")
    assert ended.code == 2
    assert "compiler-error" in ended.err


def test_a_study_whose_model_was_replaced_is_not_exported(npu_tune, study):
    from npu_tune.network import zoo_network

    (study / "model.onnx").write_bytes(zoo_network("resnet8").model_bytes)
    ended = npu_tune("export", study, "--out", "out")
    assert ended.code == 5
    assert "its model (SHA-256) is" in ended.err


def test_an_output_folder_that_is_a_file_is_a_storage_error(npu_tune, study):
    (study.parent / "file").write_text("")
    ended = npu_tune("export", study, "--out", "file")
    assert ended.code == 7


def test_a_study_is_read_after_its_folder_moved(npu_tune, study):
    study.rename(study.parent / "moved")
    document = npu_tune("show", "moved", "--json").document
    assert json.dumps(document["best"])
    assert npu_tune("export", "moved", "--out", "out").code == 0
