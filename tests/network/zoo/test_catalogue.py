from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from two_runtimes import onnx_network, signal_to_noise_db

from npu_tune.errors import ModelError
from npu_tune.network import Network, zoo_names, zoo_network
from npu_tune.network.macs import network_macs
from npu_tune.network.zoo import NAME_PATTERN, ZOO, is_zoo_name


@pytest.mark.parametrize("name", ZOO)
def test_the_table_states_the_macs(name: str) -> None:
    assert network_macs(zoo_network(name)) == ZOO[name].macs


@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "autoencoder", "yolo-tiny", "resnet32"])
def test_quantizing_changes_no_macs(name: str) -> None:
    assert network_macs(zoo_network(name, format="tflite")) == ZOO[name].macs


def test_every_variant_is_listed_once_and_can_be_spelled() -> None:
    names = zoo_names()
    assert len(set(names)) == len(names)
    assert {"mobilenet-v1-0.25-96", "mobilenet-v2-0.35-96", "mobilenet-v2"} <= set(names)
    network = zoo_network("mobilenet-v1-0.25-96")
    assert network.name == "mobilenet-v1-0.25-96"
    assert network.tensors["image"].shape == (1, 3, 96, 96)


def test_a_family_and_its_default_variant_are_one_network() -> None:
    assert zoo_network("mobilenet-v2").digest == zoo_network("mobilenet-v2-1.0-224-c1000").digest
    assert zoo_network("st-fd-mobilenet").digest == zoo_network("st-fd-mobilenet-224-c101").digest


def test_a_name_chooses_channels_and_classes() -> None:
    network = zoo_network("mobilenet-v1-0.25-96-gray-c5")
    assert network.tensors["image"].shape == (1, 1, 96, 96)
    assert network.tensors["probabilities"].shape == (1, 5)
    assert zoo_network("squeezenet-128-c7").tensors["probabilities"].shape == (1, 7)
    assert zoo_network("resnet8-c100").tensors["probabilities"].shape == (1, 100)


def test_a_detector_of_faces_has_the_published_anchors() -> None:
    network = zoo_network("ultraface")
    assert network.tensors["image"].shape == (1, 3, 240, 320)
    assert network.tensors["scores"].shape == (1, 4420, 2)
    assert network.tensors["boxes"].shape == (1, 4420, 4)


@pytest.mark.parametrize("name", ["mobilenet-v2-0.35-96-c1", "squeezenet-96-c1"])
def test_one_class_is_decided_by_a_sigmoid(name: str) -> None:
    assert zoo_network(name).layers[-1].op == "Sigmoid"


@pytest.mark.parametrize("name", zoo_names())
def test_listed_names_take_classes_where_the_family_has_them(name: str) -> None:
    assert is_zoo_name(name)
    assert is_zoo_name(f"{name}-c9") == (name not in {"autoencoder", "ultraface"})
    assert not is_zoo_name(f"{name}-c0")
    assert not is_zoo_name(f"{name}-c9-gray")


def test_the_listing_stays_short() -> None:
    assert len(zoo_names()) < 120


@pytest.mark.parametrize("name", ["resnet8-gray", "autoencoder-c2", "mobilenet-v1-0.25", "c5",
                                  "squeezenet-1.0-224", "resnet8-32"])  # fmt: skip
def test_choices_that_a_family_does_not_offer_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=re.escape(NAME_PATTERN)):
        zoo_network(name)


@pytest.mark.parametrize("name", ["resnet9", "mobilenet-v2-0.36-96", "mobilenet-v2-1.0-97", ""])
def test_other_names_are_refused_with_the_list(name: str) -> None:
    with pytest.raises(ModelError, match="resnet8"):
        zoo_network(name)


def test_a_seed_makes_one_network_and_another_seed_another() -> None:
    zoo_network.cache_clear()
    first = zoo_network("resnet8", format="tflite", seed=3)
    zoo_network.cache_clear()
    assert zoo_network("resnet8", format="tflite", seed=3).digest == first.digest
    assert zoo_network("resnet8", format="tflite", seed=4).digest != first.digest


@pytest.mark.parametrize("name", ["resnet8", "mobilenet-v2-0.35-96"])
def test_weights_are_as_varied_as_trained_ones(name: str) -> None:
    network = zoo_network(name, format="tflite")
    for tensor in network.tensors.values():
        if tensor.dtype == "int8" and tensor.data is not None and tensor.elements > 4000:
            codes = tensor.data.astype(float)
            # More mass in the middle and in the tails than a Gaussian, whose kurtosis is 3.
            kurtosis = np.mean(codes**4) / np.mean(codes**2) ** 2
            assert 3.0 < kurtosis < 9.0
            assert len(np.unique(tensor.data)) > 100


def _without_softmax(network: Network) -> Network:
    """Eight bits resolve probabilities to 1/256 only, which hides what the layers lose."""
    model = onnx.load_model_from_string(network.model_bytes)
    if model.graph.node[-1].op_type == "Softmax":
        last = model.graph.node.pop()
        model.graph.output[0].name = last.input[0]
    return onnx_network(model)


@pytest.mark.parametrize(
    ("name", "least_db"),
    [
        ("resnet8", 30.0),
        ("ds-cnn", 30.0),
        ("squeezenet", 30.0),
        ("yolo-tiny", 30.0),
        ("ultraface", 25.0),
        ("resnet32", 30.0),
        ("st-mnist", 30.0),
        ("st-fd-mobilenet-128", 30.0),
        ("fd-mobilenet-0.25-96", 26.0),
        ("efficientnet-v2-b0-96", 25.0),
        ("mobilenet-v1-0.25-96-gray-c5", 25.0),
        ("mobilenet-v1-0.25-96", 28.0),
        # Noise adds up over 52 layers in a row (ten for the autoencoder, on a waist of eight).
        ("mobilenet-v2-0.35-96", 25.0),
        ("autoencoder", 25.0),
    ],
)
def test_int8_keeps_what_float_computes(name: str, least_db: float) -> None:
    network = _without_softmax(zoo_network(name))
    assert min(signal_to_noise_db(network, samples=8)) >= least_db


def test_the_documented_table_is_the_zoo() -> None:
    document = Path(__file__).parents[3] / "docs" / "networks.md"
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| ([\d,]+) \|$", document.read_text(), re.MULTILINE)
    assert rows == [(entry.name, entry.description, f"{entry.macs:,}") for entry in ZOO.values()]
