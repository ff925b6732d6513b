"""Element types, shapes, quantization and constants of TFLite files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_files import TfliteFile, packed, schema, unpacked

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes


def with_constant(**about: Any) -> TfliteFile:
    """A sum of the input and a constant ``c``."""
    file = TfliteFile()
    x, c = file.tensor("x", (4,), "float32"), file.tensor("c", **about)
    y = file.tensor("y", (4,), "float32")
    file.operator("ADD", [x, c], [y])
    return file.ends([x], [y])


@pytest.mark.parametrize(
    ("dtype", "raw", "values"),
    [
        ("int4", b"\x81\x7f", [1, -8, -1, 7]),
        ("uint4", b"\x81\x7f", [1, 8, 15, 7]),
        ("int2", b"\xe4", [0, 1, -2, -1]),
        ("bfloat16", b"\x80\x3f\x00\x40\x80\xbf\x00\x00", [1, 2, -1, 0]),
        ("float16", b"\x00\x3c\x00\x40\x00\xbc\x00\x00", [1, 2, -1, 0]),
        ("float8_e4m3fn", b"\x38\x40\xb8\x00", [1, 2, -1, 0]),
        ("float8_e5m2", b"\x3c\x40\xbc\x00", [1, 2, -1, 0]),
        ("uint16", b"\x01\x00\x02\x00\xff\xff\x00\x00", [1, 2, 65535, 0]),
        ("uint32", b"\x01\x00\x00\x00" * 4, [1, 1, 1, 1]),
        ("bool", b"\x01\x00\x01\x00", [1, 0, 1, 0]),
        ("float64", np.arange(4.0).tobytes(), [0, 1, 2, 3]),
        ("complex64", np.arange(4).astype(np.complex64).tobytes(), [0, 1, 2, 3]),
    ],
)
def test_constants_of_every_type_have_their_values(dtype: str, raw: bytes, values: list) -> None:
    tensor = with_constant(shape=(4,), dtype=dtype, data=raw).network().tensors["c"]
    assert tensor.dtype == dtype
    assert tensor.data is not None
    assert tensor.data.dtype.name == dtype
    assert tensor.data.tolist() == values
    assert tensor.size_bytes == len(raw)


def test_an_odd_number_of_small_elements_ends_within_a_byte() -> None:
    file = with_constant(shape=(1,), dtype="int4", data=b"\x0d")
    tensor = file.network().tensors["c"]
    assert tensor.data is not None
    assert (tensor.data.tolist(), tensor.size_bytes) == ([-3], 1)


@pytest.mark.parametrize("dtype", ["string", "variant"])
def test_types_without_numbers_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(ModelError, match=f"'c' has the element type {dtype.upper()}"):
        with_constant(shape=(4,), dtype=dtype, data=b"\0" * 16).network()


def test_a_type_that_the_schema_has_not_is_refused() -> None:
    model = unpacked(with_constant(shape=(4,), dtype="float32", data=b"\0" * 16).content())
    model.subgraphs[0].tensors[1].type = 99
    with pytest.raises(ModelError, match="'c' has the element type 99"):
        network_from_bytes(packed(model), "tflite", "odd")


def test_a_sparse_constant_is_refused_by_name() -> None:
    model = unpacked(with_constant(shape=(4,), dtype="float32", data=b"\0" * 8).content())
    model.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()
    with pytest.raises(ModelError, match="'c' is stored sparse") as caught:
        network_from_bytes(packed(model), "tflite", "sparse")
    assert caught.value.remedy


@pytest.mark.parametrize("shape", [(1, -1, 4), (-1, -1), (0, 4)])
def test_a_shape_of_the_run_time_is_refused_by_the_tensor(shape: tuple[int, ...]) -> None:
    file = TfliteFile()
    signature = [-1 if size == 0 else size for size in shape]
    x, y = file.tensor("x", shape, signature=signature), file.tensor("y", shape)
    file.operator("RELU", [x], [y])
    with pytest.raises(ModelError, match="tensor 'x' is not known before run time"):
        file.ends([x], [y]).network()


def test_an_open_batch_size_is_one() -> None:
    file = TfliteFile()
    x = file.tensor("x", (1, 4), signature=(-1, 4))
    y = file.tensor("y", (1, 4), signature=(-1, 4))
    file.operator("RELU", [x], [y])
    assert file.ends([x], [y]).network().tensors["x"].shape == (1, 4)


def test_a_tensor_without_elements_is_refused_by_name() -> None:
    file = TfliteFile()
    x, y = file.tensor("x", (2, 0)), file.tensor("y", (2, 0))
    file.operator("RELU", [x], [y])
    with pytest.raises(ModelError, match="tensor 'x' has no elements"):
        file.ends([x], [y]).network()


def test_the_sizes_of_a_scalar_are_a_constant_without_elements() -> None:
    file = TfliteFile()
    x, sizes, y = file.tensor("x", (1, 1)), file.tensor("sizes", (0,), "int32"), file.tensor("y")
    file.operator("RESHAPE", [x, sizes], [y])
    network = file.ends([x], [y]).network()
    assert network.tensors["sizes"].is_constant
    assert network.tensors["y"].shape == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": [0.1] * 3}, "3 scales for the shape"),
        ({"scale": [0.1] * 4, "zeroPoint": [0] * 3}, "more scales than zero points"),
        ({"scale": [0.1] * 4, "zeroPoint": [0] * 4, "quantizedDimension": 2}, "4 scales"),
        ({"scale": [0.1] * 4, "zeroPoint": [0] * 4, "quantizedDimension": -1}, "4 scales"),
        ({"scale": [float("nan")]}, "not a number"),
    ],
)
def test_a_quantization_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    model = unpacked(with_constant(dtype="int8", data=np.zeros((1, 4)), scales=(0.1,)).content())
    quantization = model.subgraphs[0].tensors[1].quantization
    for field, value in change.items():
        setattr(quantization, field, value)
    with pytest.raises(ModelError, match=words):
        network_from_bytes(packed(model), "tflite", "odd")


def test_a_constant_of_another_size_than_its_shape_is_refused() -> None:
    with pytest.raises(ModelError, match="'c' has 12 bytes instead of 16"):
        with_constant(shape=(4,), dtype="float32", data=b"\0" * 12).network()


def test_a_tensor_of_gigabytes_is_refused_before_it_is_made() -> None:
    file = TfliteFile()
    x, y = file.tensor("x", (1, 4)), file.tensor("y", (2**20, 2**20))
    file.operator("RELU", [x], [y])
    with pytest.raises(ModelError, match="takes 1099511627776 bytes"):
        file.ends([x], [y]).network()
