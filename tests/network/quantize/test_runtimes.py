from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from chained_convolutions import INPUT, chain, weights
from two_runtimes import onnx_model, onnx_network, uniform_inputs

from npu_tune.errors import ConversionError, MissingExtraError, ModelError
from npu_tune.network import Network, zoo_network
from npu_tune.network.onnx.model import open_onnx
from npu_tune.network.onnx.proto import graph_from_onnx, graph_to_onnx
from npu_tune.network.quantize import convert
from npu_tune.network.quantize.noise import Noise
from npu_tune.network.quantize.runtimes import ConvertedNetwork, onnx_session, run_session

UNEVEN = np.logspace(-1, 1, 8, dtype=np.float32).reshape(8, 1, 1, 1)
BODIES = {
    "channels made alike": "a = Conv(x, u) b = Relu(a) c = Conv<group=8>(b, d) y = Relu(c)",
    "an order of dimensions that moves": (
        "a = Conv(x, w0) b = Transpose<perm=[0,2,3,1]>(a) c = Relu(b)"
        " f = Reshape(c, s) y = Softmax<axis=2>(f)"
    ),
    "flattened channels": "a = Conv(x, w0) b = Flatten(a) c = Gemm(b, g) y = Sigmoid(c)",
}


def _network(name: str) -> Network:
    generator = np.random.default_rng(0)
    values = weights(1) | {
        "u": weights(1)["w0"] * UNEVEN,
        "d": generator.normal(0.0, 0.5, (8, 1, 3, 3)).astype(np.float32) / UNEVEN,
        "g": generator.normal(0.0, 0.05, (800, 5)).astype(np.float32),
        "s": np.asarray([1, 20, 40]),
    }
    return onnx_network(onnx_model(f"({INPUT}) => (float y) {{ {BODIES[name]} }}", values))


@pytest.mark.parametrize("name", [*BODIES, "resnet8", "ds-cnn"])
def test_every_tensor_that_source_and_result_share_has_the_same_values(name):
    network = _network(name) if name in BODIES else zoo_network(name)
    feeds = uniform_inputs(network, samples=8, seed=0)
    conversion = convert(network, calibration=feeds, check=False)
    names = [tensor.source for tensor in conversion.tensors]
    graph = graph_from_onnx(open_onnx(network.model_bytes, name=name))
    session = onnx_session(
        graph_to_onnx(graph, outputs=[name for name in names if name not in graph.inputs])
    )
    feed = {label: value[:1] for label, value in feeds.items()}
    computed = [label for label in names if label not in feed]
    wanted = feed | dict(zip(computed, run_session(session, computed, feed), strict=True))
    have = ConvertedNetwork(conversion).run(feed, names)

    assert {*network.inputs, *network.outputs} <= set(names)
    for label, value in zip(names, have, strict=True):
        assert Noise.of(wanted[label], value).decibels >= 20.0, label


def test_channels_of_unlike_range_are_told_from_one_another():
    conversion = convert(
        network := _network("channels made alike"),
        calibration=uniform_inputs(network, samples=4, seed=0),
        check=False,
    )
    assert any(tensor.factors is not None for tensor in conversion.tensors)


def test_values_are_rounded_to_what_the_codes_can_state():
    network = chain(1)
    conversion = convert(
        network, calibration=uniform_inputs(network, samples=4, seed=0), check=False
    )
    result = ConvertedNetwork(conversion)
    low, high = result.reach("x")
    assert result.round("x", np.asarray([[[[-9.0]]], [[[9.0]]]])).ravel() == pytest.approx(
        [low, high]
    )
    once = result.round("x", uniform_inputs(network, samples=1, seed=1)["x"])
    assert np.array_equal(result.round("x", once), once)
    assert np.allclose(result.steps("x", once), np.rint(result.steps("x", once)), atol=1e-3)
    assert result.has("r0")
    assert not result.has("w0")


def test_a_file_that_litert_refuses_is_said_not_to_be_comparable(monkeypatch):
    module = importlib.import_module("npu_tune.network.quantize.write")
    monkeypatch.setattr(module, "_version", lambda _: 99)
    network = chain(1)
    with pytest.raises(ConversionError, match="LiteRT does not run") as caught:
        convert(network, calibration=uniform_inputs(network, samples=2, seed=0))
    assert "--no-check" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_without_litert_only_the_check_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    network = chain(1)
    calibration = uniform_inputs(network, samples=2, seed=0)
    with pytest.raises(MissingExtraError, match="ai-edge-litert") as caught:
        convert(network, calibration=calibration)
    assert "npu-tune[ethos-u]" in caught.value.remedy
    assert "--no-check" in caught.value.remedy
    assert convert(network, calibration=calibration, check=False).check is None


def test_what_onnxruntime_cannot_run_is_said_in_a_sentence():
    session = onnx_session(open_onnx(chain(1).model_bytes, name="test"))
    with pytest.raises(ModelError, match="onnxruntime cannot run the network"):
        run_session(session, ["y"], {"x": np.zeros((1, 3, 12, 12))})


def test_a_conversion_names_its_ends_in_the_files_order():
    body = "a = Relu(v) b = Relu(x) y = Sigmoid(a) z = Tanh(b)"
    network = onnx_network(
        onnx_model(f"({INPUT}, float[1,5] v) => (float z, float y) {{ {body} }}")
    )
    conversion = convert(network, calibration=uniform_inputs(network, samples=2, seed=0))
    assert [tensor.source for tensor in conversion.inputs] == ["x", "v"]
    assert [tensor.source for tensor in conversion.outputs] == ["z", "y"]
