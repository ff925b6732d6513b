from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from npu_tune.errors import ModelError
from npu_tune.network import Network, network_from_bytes, read_network, zoo_network

FILES = {
    # file: layers, is float
    "armzoo_ds_cnn_small_int16": (14, False),
    "armzoo_har_cnn": (7, False),
    "coral_mobilenet_v1_0.25_128": (31, False),
    "coral_mobilenet_v1_0.5_160": (31, False),
    "coral_tf2_mobilenet_v2_1.0_224_ptq": (68, False),
    "emza_yolo_fastest_face_320": (113, False),
    "mcunet_vww": (63, False),
    "mlperf_ad_autoencoder": (10, False),
    "mlperf_ic_resnet8": (16, False),
    "mlperf_kws_dscnn": (13, False),
    "mlperf_sww_streaming": (11, False),
    "mlperf_vww_mobilenetv1_025": (31, False),
    "tflm_micro_speech": (4, False),
    "tflm_person_detect": (31, False),
    "ultraface_slim_320_f32": (92, True),
}


@pytest.mark.parametrize("name", FILES)
def test_real_files_are_read_whole(shared_models: Path, name: str) -> None:
    network = read_network(shared_models / "tflite" / f"{name}.tflite")

    layer_count, is_float = FILES[name]
    assert len(network.layers) == layer_count
    assert network.is_float is is_float
    _assert_consistent(network)


def _assert_consistent_names(network: Network) -> None:
    for layer in network.layers:
        assert all(name in network.tensors for name in (*layer.inputs, *layer.outputs) if name)
        assert layer.name.isprintable()


def _assert_consistent(network: Network) -> None:
    available = set(network.inputs)
    available |= {name for name, tensor in network.tensors.items() if tensor.is_constant}
    for layer in network.layers:
        assert available.issuperset(filter(None, layer.inputs))
        available.update(layer.outputs)
    assert available.issuperset(network.outputs)
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    for name, tensor in network.tensors.items():
        assert tensor.name == name
        if tensor.data is not None:
            assert tensor.data.shape == tensor.shape
            assert tensor.data.dtype.name == tensor.dtype


def test_a_convolution_is_read_with_weights_scales_and_options(shared_models: Path) -> None:
    network = read_network(shared_models / "tflite" / "mlperf_ic_resnet8.tflite")
    layer = next(layer for layer in network.layers if layer.op == "CONV_2D")

    source, weights, bias = (network.tensors[name] for name in layer.inputs)
    assert source.shape == (1, 32, 32, 3)
    assert source.dtype == "int8"
    assert weights.shape == (16, 3, 3, 3)
    assert weights.data is not None
    assert np.abs(weights.data.astype(int)).max() == 127
    assert weights.quantization is not None
    assert len(weights.quantization.scales) == 16
    assert bias.dtype == "int32"
    assert layer.attributes["padding"] == "SAME"
    assert layer.attributes["stride_w"] == 1
    assert layer.attributes["fused_activation_function"] == "RELU"


def test_16_bit_activations_keep_their_type(shared_models: Path) -> None:
    network = read_network(shared_models / "tflite" / "armzoo_ds_cnn_small_int16.tflite")
    assert "int16" in {tensor.dtype for tensor in network.tensors.values()}


@pytest.fixture(scope="module")
def resnet8() -> bytes:
    return zoo_network("resnet8", format="tflite").model_bytes


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_refused(resnet8: bytes, share: float) -> None:
    with pytest.raises(ModelError):
        network_from_bytes(resnet8[: int(len(resnet8) * share)], "tflite", "truncated")


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bytes_are_refused_or_read_but_never_crash(resnet8: bytes, seed: int) -> None:
    generator = random.Random(seed)
    damaged = bytearray(resnet8)
    # The tables stand before and after the weights, so most flips go there.
    for _ in range(generator.choice([1, 4, 30])):
        near_start = generator.random() < 0.5
        place = (
            generator.randrange(8, 4000) if near_start else generator.randrange(8, len(damaged))
        )
        damaged[place] = generator.randrange(256)
    try:
        network = network_from_bytes(bytes(damaged), "tflite", "damaged")
    except ModelError:
        return
    _assert_consistent_names(network)


def test_noise_with_the_right_mark_is_refused() -> None:
    generator = random.Random(3)
    for size in (8, 9, 64, 4096):
        noise = bytearray(generator.randbytes(size))
        noise[4:8] = b"TFL3"
        with pytest.raises(ModelError):
            network_from_bytes(bytes(noise), "tflite", "noise")
