from __future__ import annotations

from pathlib import Path

import pytest

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes, read_network


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file .*nothing\.tflite"):
        read_network(tmp_path / "nothing.tflite")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_network(tmp_path)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"empty{suffix}"
    file.touch()
    with pytest.raises(ModelError, match="is empty"):
        read_network(file)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".txt"])
def test_a_text_file_is_refused_whatever_its_name(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"note{suffix}"
    file.write_text("This is no network, it is a note to whoever opens it.")
    with pytest.raises(ModelError) as caught:
        read_network(file)
    assert caught.value.remedy


def test_the_content_counts_and_not_the_suffix(shared_models: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "network.bin"
    disguised.write_bytes((shared_models / "tflite" / "mlperf_ic_resnet8.tflite").read_bytes())
    assert read_network(disguised).format == "tflite"


def test_a_network_is_named_after_its_file_unless_told_otherwise(shared_models: Path) -> None:
    file = shared_models / "onnx" / "match_resnet8_fp16.onnx"
    assert read_network(file).name == "match_resnet8_fp16"
    assert read_network(file, name="small").name == "small"


def test_a_file_and_its_bytes_are_the_same_network(shared_models: Path) -> None:
    file = shared_models / "tflite" / "mlperf_kws_dscnn.tflite"
    from_bytes = network_from_bytes(file.read_bytes(), "tflite", "kws")
    assert from_bytes.digest == read_network(file).digest
