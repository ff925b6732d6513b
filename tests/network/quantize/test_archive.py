from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import Network, load_calibration


@pytest.fixture(scope="module")
def network() -> Network:
    return onnx_network(onnx_model("(float[1,8] x) => (float y) { y = Relu(x) }"))


def _header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    size = 2 if version == (1, 0) else 4
    content = text.encode() + b"\n"
    return npy.magic(*version) + len(content).to_bytes(size, "little") + content


def _described(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


def _archive(folder: Path, content: bytes, **others: bytes) -> Path:
    file = folder / "samples.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in ({"x": content} | others).items():
            archive.writestr(f"{name}.npy", each)
    return file


def _refusal(file: Path, network: Network) -> str:
    """What is said, after not much more memory was taken than a file of some kilobytes needs."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            load_calibration(file, network)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "<i2"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path: Path, network: Network, order, dtype, save) -> None:
    samples = np.asarray(np.arange(40).reshape(5, 8), dtype, order=order)
    save(tmp_path / "samples.npz", x=samples)
    read = load_calibration(tmp_path / "samples.npz", network)["x"]
    assert read.dtype == samples.dtype
    assert np.array_equal(read, samples)


def test_a_trillion_samples_are_refused_before_they_are_allocated(tmp_path, network) -> None:
    content = _header(_described("(1000000000000, 8)"))
    assert "more than 1.5 GB" in _refusal(_archive(tmp_path, content), network)


def test_a_small_file_that_unpacks_to_more_than_it_says_is_refused(tmp_path, network) -> None:
    content = _header(_described("(2, 8)")) + bytes(200_000_000)
    words = _refusal(_archive(tmp_path, content), network)
    assert "damaged" in words
    assert "200,0" in words


def test_a_file_with_less_than_it_says_is_refused(tmp_path, network) -> None:
    content = _header(_described("(10000000, 8)")) + bytes(64)
    assert "damaged" in _refusal(_archive(tmp_path, content), network)


def test_a_directory_that_lies_is_refused(tmp_path, network) -> None:
    file = _archive(tmp_path, _header(_described("(10000000, 8)")) + bytes(64))
    whole = 320_000_000 + len(_header(_described("(10000000, 8)")))
    content = bytearray(file.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = whole.to_bytes(4, "little")
    file.write_bytes(bytes(content))
    assert "damaged" in _refusal(file, network)


def test_a_zip_bomb_of_zeros_is_counted(tmp_path, network) -> None:
    file = tmp_path / "samples.npz"
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("x.npy", "w", force_zip64=True) as entry:
        entry.write(_header(_described("(100000000, 8)")))
        for _ in range(4):
            entry.write(bytes(1_000_000))
    assert "more than 1.5 GB" in _refusal(file, network)


@pytest.mark.parametrize(
    "header",
    [
        "(" * 9000,
        "[" * 400 + "]" * 400,
        "{" * 9000,
        "-" * 9000 + "1",
        "",
        "\0",
        "1 +",
        "{'shape': (1,)}",
        _described("(2, -8)"),
        _described("'ab'"),
        _described("(2, 8)", order="3"),
        _described("(2, 8)", descr="'nonsense'"),
        _described("(2, 8)", descr="'|O'"),
        _described("(2, 8)", descr="[('a', '<f4'), ('b', '<f4')]"),
        _described("(2, 8)", descr="'<U4'"),
        _described("(2, 8)") + " " * 60_000,
    ],
)
def test_headers_that_make_no_sense_are_refused(tmp_path, network, header: str) -> None:
    _refusal(_archive(tmp_path, _header(header) + bytes(64)), network)


def test_a_header_of_gigabytes_is_not_read(tmp_path, network) -> None:
    content = _header(_described("(2, 8)") + " " * 100_000_000, version=(2, 0))
    assert "plain array" in _refusal(_archive(tmp_path, content), network)


def test_what_is_no_input_is_named_and_not_read(tmp_path, network) -> None:
    samples = io.BytesIO()
    np.save(samples, np.zeros((2, 8), np.float32))
    file = _archive(tmp_path, samples.getvalue(), other=bytes(300_000_000))
    assert "'other'" in _refusal(file, network)


def test_a_pickle_is_not_opened(tmp_path, network) -> None:
    np.savez(tmp_path / "samples.npz", x=np.asarray([{"a": 1}], object))
    assert "not numbers" in _refusal(tmp_path / "samples.npz", network)


def test_changed_values_are_noticed(tmp_path, network) -> None:
    samples = io.BytesIO()
    np.save(samples, np.zeros((2, 8), np.float32))
    file = tmp_path / "samples.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.npy", samples.getvalue())
    content = file.read_bytes()
    file.write_bytes(content.replace(bytes(16), bytes(15) + b"\1", 1))
    assert "cannot be read" in _refusal(file, network)


def test_a_directory_of_very_many_entries_is_not_read(tmp_path, network) -> None:
    content = bytearray(_archive_bytes())
    place = content.rfind(b"PK\5\6") + 12
    content[place : place + 4] = (50_000_000).to_bytes(4, "little")
    file = tmp_path / "many.npz"
    file.write_bytes(content)
    assert "directory" in _refusal(file, network)


def _archive_bytes() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros(3, np.float32))
    return stream.getvalue()
