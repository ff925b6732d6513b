"""The model says which networks it was not validated for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import TfliteFile
from two_runtimes import onnx_model, onnx_network

from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import Confidence, load_target
from npu_tune.targets.neural_art.confidence import USUAL, WITH_FEW_ROWS


def confidence(network: Network, options: Mapping[str, Any] | None = None) -> Confidence:
    with load_target("neural-art-stm32n6", dict(options or {})).bind(network) as problem:
        return problem.confidence


def network(nodes: str, weights: Mapping[str, tuple[int, ...]], *, size: int = 64) -> Network:
    generator = np.random.default_rng(0)
    values = {name: generator.normal(size=s).astype(np.float32) for name, s in weights.items()}
    text = f"(float[1,32,{size},{size}] x) => (float y) {{ {nodes} }}"
    return onnx_network(onnx_model(text, values))


@pytest.mark.parametrize("name", ["mobilenet-v2", "efficientnet-v2-b0", "squeezenet-224-c101"])
def test_a_published_family_is_validated_with_the_error_to_expect(name: str) -> None:
    found = confidence(zoo_network(name))
    assert found.validated
    assert not found.outside
    assert found.errors == USUAL
    assert "latency_ms 3% in the median" in found.sentence


@pytest.mark.parametrize("name", ["squeezenext", "resnet50-v2", "squeezenet-v1.0"])
def test_networks_of_kinds_of_which_few_are_published_expect_larger_errors(name: str) -> None:
    found = confidence(zoo_network(name))
    assert found.validated
    assert found.errors == WITH_FEW_ROWS


def test_a_very_fast_network_is_said_to_be_one() -> None:
    found = confidence(zoo_network("resnet8"))
    assert found.validated
    assert found.errors == WITH_FEW_ROWS
    assert any("faster than 0.9 ms" in phrase for phrase in found.outside)


@pytest.mark.parametrize(
    ("nodes", "weights", "phrase"),
    [
        ("y = Conv<group=4,pads=[1,1,1,1]>(x, w)", {"w": (64, 8, 3, 3)}, "grouped convolutions"),
        ("y = Conv<dilations=[2,2]>(x, w)", {"w": (64, 32, 3, 3)}, "dilated convolutions"),
        ("y = Conv(x, w)", {"w": (64, 32, 5, 5)}, "windows of 5 x 5"),
        ("y = ConvTranspose<strides=[2,2]>(x, w)", {"w": (32, 32, 2, 2)}, "transposed convolutions"),
        ("a = Conv(x, w) y = Transpose<perm=[0,2,1,3]>(a)", {"w": (64, 32, 1, 1)}, "Transpose"),
        ("a = LRN<size=3>(x) y = Conv(a, w)", {"w": (16, 32, 1, 1)}, "LRN on the CPU"),
        ("a = Conv(x, w) y = LRN<size=3>(a)", {"w": (16, 32, 1, 1)}, "LRN on the CPU"),
        ("a = Conv(x, w) y = Softmax<axis=1>(a)", {"w": (16, 32, 1, 1)}, "Softmax on the CPU"),
        ("y = Conv<pads=[3,3,3,3]>(x, w)", {"w": (32, 32, 7, 7)}, "windows of 7 x 7"),
    ],
)  # fmt: skip
def test_operators_outside_are_named_with_their_share_of_the_time(
    nodes: str, weights: Mapping[str, tuple[int, ...]], phrase: str
) -> None:
    found = confidence(network(nodes, weights))
    assert not found.validated
    assert any(phrase in each and "% of the time" in each for each in found.outside)
    assert found.sentence.startswith("Not validated")
    assert not found.errors


def test_a_little_that_is_outside_leaves_a_network_validated() -> None:
    nodes = "a = Conv<pads=[1,1,1,1]>(x, w) b = Conv<pads=[1,1,1,1]>(a, v) y = Transpose<perm=[0,2,3,1]>(b)"
    found = confidence(network(nodes, {"w": (256, 32, 3, 3), "v": (8, 256, 3, 3)}))
    assert found.validated
    assert "Outside of that" in found.sentence or not found.outside


@pytest.mark.parametrize(
    ("options", "phrase"),
    [({"rule": "vendor"}, "vendor's rule"), ({"hardware": {"pools": {"npuRAM3": 0}}}, "")],
)
def test_the_vendors_rule_is_outside_and_smaller_memories_are_not(
    options: Mapping[str, Any], phrase: str
) -> None:
    found = confidence(zoo_network("mobilenet-v1-0.25-96"), options)
    assert found.validated is (not phrase)
    assert all(phrase in each for each in found.outside if phrase)


@pytest.mark.parametrize(
    "hardware",
    [
        {"accelerators": 16},
        {"clock_mhz": 400},
        {"accelerators": [2, 4]},
        {"clock_mhz": [400, 1000]},
    ],
)
def test_other_units_and_clocks_are_outside_whatever_the_hardware_is_called(
    hardware: Mapping[str, Any],
) -> None:
    found = confidence(zoo_network("resnet8"), {"hardware": hardware})
    assert not found.validated
    assert any("other units, clocks or memories" in phrase for phrase in found.outside)


def test_the_hardware_of_a_file_is_known_by_what_it_says(tmp_path: Path) -> None:
    for text, is_published in (("", True), ("[units]\naccelerators = 16", False)):
        file = tmp_path / "own.toml"
        file.write_text(f'based_on = "stm32n6"\n{text}\n')
        with load_target("neural-art-custom", {"hardware_file": str(file)}).bind(
            zoo_network("resnet8")
        ) as problem:
            assert problem.confidence.validated is is_published


def test_several_samples_at_a_time_are_outside() -> None:
    weights = {"w": np.zeros((64, 32, 3, 3), np.float32)}
    text = "(float[2,32,64,64] x) => (float y) { y = Conv(x, w) }"
    found = confidence(onnx_network(onnx_model(text, weights)))
    assert not found.validated
    assert any("2 samples at a time" in phrase for phrase in found.outside)


def test_two_small_classifiers_at_the_end_are_as_usual_as_one() -> None:
    nodes = (
        "a = Conv<pads=[1,1,1,1]>(x, w) m = GlobalAveragePool(a) f = Flatten(m) "
        "g = MatMul(f, u) h = MatMul(f, v) p = Softmax(g) q = Softmax(h) y = Concat<axis=1>(p, q)"
    )
    found = confidence(network(nodes, {"w": (64, 32, 3, 3), "u": (64, 10), "v": (64, 9)}))
    assert found.validated
    assert not any("CPU" in phrase for phrase in found.outside)


def test_elements_of_sixteen_bits_are_outside() -> None:
    file = TfliteFile()
    x, y = (file.tensor(name, (1, 64, 64, 16), "int16") for name in "xy")
    w = file.tensor("w", data=np.ones((16, 3, 3, 16), np.int8))
    file.operator("CONV_2D", [x, w], [y], padding=0, strideH=1, strideW=1)
    found = confidence(file.ends([x], [y]).network())
    assert not found.validated
    assert any("other than 8 bits" in phrase for phrase in found.outside)


def test_other_hardware_is_outside() -> None:
    with load_target("neural-art-stm32h7p").bind(zoo_network("resnet8")) as problem:
        found = problem.confidence
    assert not found.validated
    assert "stm32h7p" in found.sentence


def test_feature_maps_in_external_ram_are_outside() -> None:
    found = confidence(network("a = Relu(x) b = Exp(a) y = Add(a, b)", {}, size=256))
    assert not found.validated
    assert any("external RAM" in phrase for phrase in found.outside)


def test_confidence_survives_json() -> None:
    for name in ("mobilenet-v2", "resnet8"):
        found = confidence(zoo_network(name))
        assert Confidence.from_dict(found.to_dict()) == found
