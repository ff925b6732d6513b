from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from chained_convolutions import chain_with_outliers
from two_runtimes import uniform_inputs

from npu_tune.errors import ConversionError, ModelError
from npu_tune.network import load_network, zoo_network


def test_a_zoo_name_gives_an_int8_network() -> None:
    network = load_network("resnet8")
    assert (network.name, network.format, network.is_float) == ("resnet8", "tflite", False)


def test_a_file_is_read_as_it_is(shared_models: Path) -> None:
    assert load_network(shared_models / "tflite" / "mlperf_kws_dscnn.tflite").format == "tflite"
    network = load_network(str(shared_models / "onnx" / "match_kws_dscnn_fp16.onnx"))
    assert network.format == "onnx"
    assert network.is_float


def test_an_onnx_file_with_calibration_becomes_int8(tmp_path: Path) -> None:
    network = zoo_network("ds-cnn")
    file = tmp_path / "spotter.onnx"
    file.write_bytes(network.model_bytes)
    loaded = load_network(file, calibration=uniform_inputs(network, samples=2, seed=0))
    assert (loaded.name, loaded.format) == ("spotter", "tflite")


def test_an_onnx_file_whose_int8_form_keeps_too_little_is_refused(tmp_path: Path) -> None:
    network = chain_with_outliers(3, 1)
    file = tmp_path / "unfit.onnx"
    file.write_bytes(network.model_bytes)
    calibration = uniform_inputs(network, samples=2, seed=0)
    with pytest.raises(ConversionError, match="'unfit'"):
        load_network(file, calibration=calibration)
    assert load_network(file, calibration=calibration, check=False).format == "tflite"


def test_a_misspelled_name_gets_the_closest_one_and_the_list() -> None:
    with pytest.raises(ModelError, match="Did you mean 'resnet8'") as caught:
        load_network("resnet-8")
    assert "squeezenet" in str(caught.value)


def test_a_path_that_is_not_there_is_no_zoo_name() -> None:
    with pytest.raises(ModelError, match="no file"):
        load_network("somewhere/resnet8.tflite")


def test_a_name_that_is_too_long_for_a_file_is_no_network() -> None:
    with pytest.raises(ModelError, match="nor a built-in network"):
        load_network("x" * 5000)


def test_importing_networks_imports_no_heavy_library() -> None:
    code = (
        "import sys, npu_tune.network, npu_tune.network.load, npu_tune.network.zoo;"
        "npu_tune.network.zoo_names();"
        "print([m for m in ('onnx', 'onnxruntime', 'ai_edge_litert', 'tflite', 'ray', 'ethosu') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
