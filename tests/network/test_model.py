from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.network import Layer, Network, Tensor, printable_names, zoo_network


def _network(*layers: Layer, **dtypes: str) -> Network:
    tensors = {name: Tensor(name, (1, 4), dtype) for name, dtype in dtypes.items()}
    return Network("made", "tflite", layers, tensors, ("x",), ("y",), b"made")


def test_a_network_survives_pickling() -> None:
    network = zoo_network("ds-cnn", format="tflite")
    copy = pickle.loads(pickle.dumps(network))  # noqa: S301 - written in this line

    assert copy.digest == network.digest
    assert [layer.name for layer in copy.layers] == [layer.name for layer in network.layers]
    assert copy.layers[0].attributes == network.layers[0].attributes
    assert copy.tensors.keys() == network.tensors.keys()


def test_layers_and_tensors_of_a_network_cannot_be_changed() -> None:
    network = zoo_network("ds-cnn", format="tflite")
    with pytest.raises(TypeError):
        network.tensors["more"] = network.tensors["features"]  # type: ignore[index]
    with pytest.raises(TypeError):
        network.layers[0].attributes["stride_w"] = 9  # type: ignore[index]
    weights = network.tensors[network.layers[0].inputs[1]].data
    assert weights is not None
    with pytest.raises(ValueError, match="read-only"):
        weights[0] = 0


def test_a_network_is_float_where_a_layer_computes_in_floating_point() -> None:
    add = Layer("y", "ADD", ("x", "x"), ("y",))
    assert _network(add, x="float32", y="float32").is_float
    assert not _network(add, x="int8", y="int8").is_float


def test_handing_integers_out_as_real_numbers_makes_no_network_float() -> None:
    add = Layer("a", "ADD", ("x", "x"), ("a",))
    out = Layer("y", "DEQUANTIZE", ("a",), ("y",))
    assert not _network(add, out, x="int8", a="int8", y="float32").is_float


def test_names_of_fused_operators_keep_the_first_part_only() -> None:
    assert printable_names(["a/b;c/d", "a/b", "", "x y:0"]) == ("a/b", "a/b#2", "layer", "x_y_0")


@given(st.lists(st.text(max_size=8), max_size=12))
def test_printable_names_are_unique_printable_and_as_many(raw: list[str]) -> None:
    names = printable_names(raw)
    assert len(names) == len(set(names)) == len(raw)
    assert all(name and name.isascii() and name.isprintable() for name in names)
    assert not any(" " in name for name in names)


def test_a_layer_called_network_is_told_apart_from_the_network_itself():
    assert printable_names(["network", "conv", "network"]) == ("network#2", "conv", "network#3")
    assert printable_names(["network/conv"]) == ("network/conv",)
