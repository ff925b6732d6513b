from __future__ import annotations

import os

import numpy as np
import pytest
from chained_convolutions import chain, chain_with_outliers
from two_runtimes import uniform_inputs


@pytest.fixture
def fit(here):
    (here / "fit.onnx").write_bytes(chain(2).model_bytes)
    return "fit.onnx"


@pytest.fixture
def unfit(here):
    """A network with a layer, c1, whose activations do not suit int8."""
    (here / "unfit.onnx").write_bytes(chain_with_outliers(3, 1).model_bytes)
    return "unfit.onnx"


@pytest.fixture
def samples(here):
    np.savez(here / "samples.npz", **uniform_inputs(chain(2), samples=8, seed=0))
    return "samples.npz"


def test_convert_says_what_every_output_keeps(npu_tune, fit, samples):
    ended = npu_tune("convert", fit, "--out", "o.tflite", "--calibration", samples, "--json")
    assert ended.code == 0, ended.err
    check = ended.document["check"]
    assert check["least_decibels"] == 20.0
    assert [each["inputs"] for each in check["outputs"]] == ["given", "seeded"]
    assert all(each["output"] == "y" for each in check["outputs"])
    assert all(each["decibels"] > 20.0 for each in check["outputs"])


def test_too_little_is_an_error_of_the_model_and_nothing_is_written(npu_tune, here, unfit):
    ended = npu_tune("convert", unfit, "--out", "o.tflite", "--json")
    assert ended.code == 3
    error = ended.document["error"]
    assert error["kind"] == "ConversionError"
    assert error["data"]["layer"]["layers"] == [
        {"layer": "c1", "op": "Conv"},
        {"layer": "r1", "op": "Relu"},
    ]
    assert error["data"]["layer"]["cause"] == "activations"
    assert not (here / "o.tflite").exists()


def test_the_error_is_a_sentence_with_layer_cause_and_remedy(npu_tune, unfit):
    ended = npu_tune("convert", unfit, "--out", "o.tflite")
    assert ended.code == 3
    assert "the layers 'c1' (Conv) and 'r1' (Relu)" in ended.err
    assert "activations do not suit int8" in ended.err
    assert "--no-check" in ended.err


def test_no_check_writes_it_all_the_same(npu_tune, here, unfit):
    ended = npu_tune("convert", unfit, "--out", "o.tflite", "--no-check", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["check"] is None
    assert (here / "o.tflite").stat().st_size == ended.document["bytes"]


def test_a_tflite_file_that_stays_as_it_is_has_nothing_to_compare(npu_tune, fit):
    assert npu_tune("convert", fit, "--out", "o.tflite").code == 0
    ended = npu_tune("convert", "o.tflite", "--out", "p.tflite", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["check"] is None


@pytest.mark.parametrize("command", ["tune", "space"])
def test_a_conversion_that_another_command_needs_is_checked_too(npu_tune, unfit, samples, command):
    arguments = (command, unfit, "--target", "fake-npu", "--calibration", samples)
    few = ("--evaluations", 2, "--workers", 1) if command == "tune" else ()
    ended = npu_tune(*arguments, *few)
    assert ended.code == 3
    assert "'c1' (Conv)" in ended.err
    assert npu_tune(*arguments, *few, "--no-check").code == 0


def test_a_study_says_once_what_the_conversion_keeps(npu_tune, here, fit, samples):
    arguments = ("tune", fit, "--target", "fake-npu", "--calibration", samples, "--study", "s")
    ended = npu_tune(*arguments, "--evaluations", 4, "--workers", 2)
    assert ended.code == 0, ended.err
    assert ended.err.count("npu-tune: The int8 form of 'fit' keeps") == 1
    # Workers, and whoever goes on, have the finished network.
    ended = npu_tune("run", here / "s/study.toml")
    assert ended.code == 0, ended.err
    assert "int8 form" not in ended.err


def test_a_study_file_can_leave_the_check_out(npu_tune, here, unfit, samples):
    def write(check: str) -> None:
        (here / "study.toml").write_text(
            f'[model]\npath = "{unfit}"\ncalibration = "{samples}"\n{check}\n'
            '[target]\nname = "fake-npu"\n'
            '[study]\nname = "s"\nevaluations = 2\n[executor]\nkind = "inline"\n'
        )

    write("")
    assert npu_tune("run", "study.toml").code == 3
    write("check = false")
    ended = npu_tune("run", "study.toml", "--json")
    assert ended.code == 0, ended.err
    # The same key as that of a study whose check was asked for and passed.
    identity = ended.document["model"]["sha256"]
    assert (
        npu_tune(
            "convert", unfit, "--calibration", samples, "--no-check", "--out", "o.tflite", "--json"
        ).document["model"]["sha256"]
        == identity
    )


def test_convert_writes_an_int8_file_and_warns_about_random_calibration(npu_tune, here):
    from npu_tune.network import read_network, zoo_network

    (here / "float.onnx").write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    ended = npu_tune("convert", "float.onnx", "--out", "sub/int8.tflite", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["bytes"] == (here / "sub/int8.tflite").stat().st_size
    assert "npu-tune: warning:" in ended.err
    network = read_network(here / "sub/int8.tflite")
    assert not network.is_float


def test_convert_takes_calibration_data(npu_tune, here):
    import numpy as np

    from npu_tune.network import zoo_network

    network = zoo_network("ds-cnn", format="onnx")
    (here / "float.onnx").write_bytes(network.model_bytes)
    name = network.inputs[0]
    shape = network.tensors[name].shape
    samples = np.random.default_rng(0).normal(size=(8, *shape[1:])).astype(np.float32)
    np.savez(here / "samples.npz", **{name: samples})
    ended = npu_tune("convert", "float.onnx", "--out", "o.tflite", "--calibration", "samples.npz")
    assert ended.code == 0, ended.err
    assert not ended.err
    assert "Wrote o.tflite" in ended.out
    assert "dB in 'probabilities' on 8 given inputs" in ended.out


def test_calibration_data_for_a_tflite_file_are_refused(npu_tune, here):
    assert npu_tune("convert", "ds-cnn", "--out", "o.tflite").code == 0
    ended = npu_tune("convert", "o.tflite", "--out", "p.tflite", "--calibration", "samples.npz")
    assert ended.code == 2
    assert "calibration data are of no use" in ended.err
    assert not (here / "p.tflite").exists()


def test_convert_of_a_missing_file_is_a_model_error(npu_tune, here):
    assert npu_tune("convert", "nowhere.onnx", "--out", "o.tflite").code == 3


def test_convert_does_not_write_over_the_model_itself(npu_tune, here):
    from npu_tune.network import zoo_network

    model = here / "float.onnx"
    model.write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    before = model.read_bytes()
    ended = npu_tune("convert", "float.onnx", "--out", "./float.onnx")
    assert ended.code == 2
    assert "--out" in ended.err
    assert model.read_bytes() == before


def test_convert_does_not_write_over_its_calibration_data_or_over_what_is_no_file(
    npu_tune, here, fit, samples
):
    (here / "folder").mkdir()
    os.mkfifo(here / "pipe")
    before = (here / samples).read_bytes()
    for out, words in {
        samples: "the calibration data itself",
        "folder": "which is no file",
        "pipe": "which is no file",
        ".": "which is no file",
        "": "which is no file",
    }.items():
        ended = npu_tune("convert", fit, "--calibration", samples, "--out", out)
        assert ended.code == 2, out
        assert "--out" in ended.err
        assert words in ended.err
    assert (here / samples).read_bytes() == before
    assert (here / "pipe").is_fifo()
