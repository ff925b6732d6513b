from __future__ import annotations

import json
import subprocess

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def study(failing_study):
    """A finished study of a small budget."""
    return failing_study(40)


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


def _content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def two_studies(npu_tune, here):
    """Of unlike networks on a target whose exports say so."""
    for model in ("ds-cnn", "resnet8"):
        ended = npu_tune(
            "tune", model, "--target", "neural-art-stm32n6", "--workers", 1, "--evaluations", 2,
            "--study", model, "--quiet",
        )  # fmt: skip
        assert ended.code == 0, ended.err
    return "ds-cnn", "resnet8"


def test_an_export_does_not_overwrite_another_one_unasked(npu_tune, two_studies, here):
    one, other = two_studies
    assert npu_tune("export", one, "--pick", "0", "--out", "out").code == 0
    first = _content(here / "out")
    assert npu_tune("export", one, "--pick", "0", "--out", "out").code == 0
    ended = npu_tune("export", other, "--pick", "0", "--out", "out")
    assert ended.code == 2
    assert "is there already and holds another export" in ended.err
    assert "--out" in ended.err
    assert "--force" in ended.err
    assert _content(here / "out") == first
    forced = npu_tune("export", other, "--pick", "0", "--out", "out", "--force", "--json")
    assert forced.code == 0
    second = _content(here / "out")
    assert second["configuration.json"] != first["configuration.json"]
    assert {name.replace("resnet8", "ds-cnn") for name in second} == set(first)
    there = {path for path in (here / "out").rglob("*") if path.is_file()}
    assert {here / path for path in forced.document["files"].values()} == there


def test_an_export_leaves_other_files_of_the_folder_alone(npu_tune, study):
    out = study.parent / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert npu_tune("export", study, "--out", "out").code == 0
    assert (out / "notes.txt").read_text() == "mine"


def test_show_says_which_trials_another_sampler_proposed(npu_tune, study):
    command = ["tune", "ds-cnn", "--target", "fake-failing", "--workers", 1, "--study", study]
    more = npu_tune(*command, "--evaluations", 45, "--sampler", "random", "--seed", 7, "--quiet")
    assert "the sampler is random, which was profile" in more.err
    searches = npu_tune("show", study, "--json").document["searches"]
    assert [(each["sampler"], each["seed"]) for each in searches] == [
        ("profile", 0),
        ("random", 7),
    ]
    shown = npu_tune("show", study).out
    assert f"random (seed 7) from trial {searches[1]['first_trial']} on" in shown


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
