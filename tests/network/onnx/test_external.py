from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from two_runtimes import onnx_model

from npu_tune.errors import ModelError
from npu_tune.network import read_network


def _file(folder: Path, location: str, **entries: str) -> Path:
    folder.mkdir(exist_ok=True)
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = Mul(x, w) }", {"w": np.ones(4, np.float32)}
    )
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in ({"location": location} | entries).items():
        tensor.external_data.add(key=key, value=value)
    file = folder / "net.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def _weights(path: Path) -> None:
    path.write_bytes(np.arange(6, dtype=np.float32).tobytes())


def test_a_part_of_a_file_is_read(tmp_path: Path) -> None:
    file = _file(tmp_path, "weights", offset="8", length="16")
    _weights(tmp_path / "weights")
    assert list(read_network(file).tensors["w"].data) == [2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("form", ["above", "absolute", "link"])
def test_a_file_outside_the_folder_lies_outside_and_is_not_read(tmp_path: Path, form: str) -> None:
    _weights(tmp_path / "weights")
    location = {"above": "../weights", "absolute": str(tmp_path / "weights"), "link": "link"}[form]
    file = _file(tmp_path / "model", location)
    if form == "link":
        (tmp_path / "model" / "link").symlink_to(tmp_path / "weights")
    with pytest.raises(ModelError, match=r"'w'.*lies outside the model's folder and is not read"):
        read_network(file)


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "9"}, {"offset": "-8"}, {"offset": "x"}, {"offset": "16", "length": "16"},
        {"length": "-1"}, {"offset": "99"},
    ],
)  # fmt: skip
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    file = _file(tmp_path, "weights", **entries)
    _weights(tmp_path / "weights")
    with pytest.raises(ModelError, match="'w'") as caught:
        read_network(file)
    assert caught.value.remedy


@pytest.mark.parametrize("location", ["", ".", "nowhere", "x" * 5000])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelError, match=r"'w'.*file"):
        read_network(_file(tmp_path, location))
