"""The model says which networks it was not validated for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
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
