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


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".tosa"])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"empty{suffix}"
    file.touch()
    with pytest.raises(ModelError, match="is empty"):
        read_network(file)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".tosa", ".txt"])
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


@pytest.mark.parametrize("suffix", [".tosa", ".bin"])
def test_a_tosa_file_is_known_by_its_mark_and_not_looked_into(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"network{suffix}"
    file.write_bytes(b"\x18\0\0\0TOSA and what only a compiler reads")
    network = read_network(file)
    assert (network.format, network.layers, network.name) == ("tosa", (), "network")
    assert network.model_bytes == file.read_bytes()
    assert not network.is_float


def test_bytes_without_the_mark_are_no_tosa_network() -> None:
    with pytest.raises(ModelError, match="not a TOSA file"):
        network_from_bytes(b"\x18\0\0\0TFL3", "tosa", "network")


def test_a_file_of_more_than_the_budget_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    with file.open("wb") as stream:
        stream.truncate(3_000_000_000)
    with pytest.raises(ModelError, match=r"more than 1.5 GB.*the file takes 3 GB"):
        read_network(file)
