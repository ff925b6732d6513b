"""The commands on the real target, with small budgets."""

from __future__ import annotations

import json

import pytest

from npu_tune.network import read_network, zoo_network

pytestmark = pytest.mark.slow

TARGET = ("--target", "ethos-u55-128")
QUICK = (*TARGET, "--evaluations", 8, "--workers", 1)


def test_a_network_is_tuned_shown_and_exported_with_the_metrics_its_trial_reported(in_shell):
    tuned = in_shell("tune", "ds-cnn", *QUICK, "--study", "s", "--json")
    assert tuned.code == 0, tuned.err
    best = tuned.document["best"]
    assert {metric["kind"] for metric in tuned.document["metrics"]} == {"estimated"}
    assert best["cost"] <= 1.0
    assert any("C++" in label for label in tuned.document["references"])
    shown = in_shell("show", "s", "--json")
    assert shown.document["best"] == best
    exported = in_shell("export", "s", "--pick", "best", "--out", "out", "--json")
    assert exported.code == 0, exported.err
    assert exported.document["metrics"] == best["metrics"]


def test_the_exported_file_runs_on_the_npu_and_its_configuration_is_beside_it(npu_tune, here):
    npu_tune("tune", "ds-cnn", *QUICK, "--study", "s", "--quiet")
    exported = npu_tune("export", "s", "--out", "out", "--json").document
    model = here / exported["files"]["model"]
    assert model.name == "ds-cnn_ethos-u55-128.tflite"
    assert b"ethos-u" in model.read_bytes()
    written = json.loads((here / exported["files"]["configuration"]).read_text())
    assert written


def test_a_float_onnx_model_is_made_int8_with_a_warning_and_kept_in_the_study(npu_tune, here):
    (here / "float.onnx").write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    ended = npu_tune("tune", "float.onnx", *QUICK, "--study", "s", "--quiet")
    assert ended.code == 0, ended.err
    assert "npu-tune: warning:" in ended.err
    kept = read_network(here / "s" / "model.tflite")
    assert not kept.is_float
    again = npu_tune("run", here / "s" / "study.toml", "--quiet")
    assert again.code == 0, again.err
    assert not again.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--target", "ethos-u55-127"], 4, ["ethos-u55-127", "ethos-u55-128"]),
        ([*TARGET, "--system-config", "Foo"], 4, ["Foo", "Ethos_U55_High_End_Embedded"]),
        ([*TARGET, "--memory-mode", "Foo"], 4, ["Foo", "Shared_Sram"]),
        ([*TARGET, "--config", "nowhere.ini"], 4, ["nowhere.ini"]),
        ([*TARGET, "-O", "strategy=fast"], 4, ["strategy", "system_config"]),
    ],
)
def test_a_wrong_target_option_names_what_there_is(npu_tune, here, arguments, code, words):
    ended = npu_tune("tune", "ds-cnn", *arguments)
    assert ended.code == code
    (line,) = ended.err.splitlines()
    assert all(word in line for word in words)


def test_a_float_network_is_refused_with_the_reason(npu_tune, here, shared_models):
    ended = npu_tune("tune", shared_models / "tflite/ultraface_slim_320_f32.tflite", *QUICK)
    assert ended.code == 3
    assert "floating-point" in ended.err


@pytest.mark.ray
def test_ray_evaluates_where_it_is_asked_for(in_shell):
    ended = in_shell("tune", "ds-cnn", *QUICK, "--ray", "local", "--study", "s", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["trials"]["finished"] + ended.document["trials"]["failed"] == 8


def test_a_ray_cluster_out_of_reach_is_an_executor_error(in_shell):
    ended = in_shell("tune", "ds-cnn", *QUICK, "--ray", "127.0.0.1:1", "--study", "s")
    assert ended.code == 8, ended.err
    assert "Traceback" not in ended.err


def test_a_study_is_held_against_what_nothing_falls_below(npu_tune, here):
    tuned = npu_tune("tune", "st-mnist", *QUICK, "--study", "s", "--quiet")
    assert "bound" in tuned.out.split("\nmetric ")[1].splitlines()[0]
    shown = npu_tune("show", "s", "--json").document
    told = npu_tune("front", "st-mnist", *TARGET, "--study", "s", "--json", "--quiet").document
    assert told["kind"] == "bound"
    assert "knows no exact front" in told["reason"]
    assert told["bound"]["metrics"] == shown["bound"]["metrics"]
    assert told["standing"]["excess"] == pytest.approx(shown["bound"]["excess"])
    text = npu_tune("front", "st-mnist", *TARGET, "--study", "s", "--quiet").out
    assert "above the bound: an optimum may lie anywhere between" in " ".join(text.split())
