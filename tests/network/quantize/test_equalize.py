from __future__ import annotations

import numpy as np
import pytest
from two_runtimes import onnx_model, onnx_network, run_onnx, signal_to_noise_db, uniform_inputs

from npu_tune.network import Network
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.model import open_onnx
from npu_tune.network.onnx.proto import graph_from_onnx, graph_to_onnx
from npu_tune.network.quantize.calibrate import observe
from npu_tune.network.quantize.equalize import equalize

BODIES = {
    "depthwise": "a = Conv(x, w, b) r = Relu(a) y = Conv<group=8, pads=[1,1,1,1]>(r, d)",
    "plain": "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)",
    "pooled": (
        "a = Conv(x, w, b) r = LeakyRelu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)"
        " y = Conv(p, v)"
    ),
    "read twice": "a = Conv(x, w, b) r = Relu(a) c = Conv(r, v) e = Conv(r, v) y = Sub(c, e)",
    "clipped": "a = Conv(x, w, b) r = Clip<min=0.0, max=6.0>(a) y = Conv(r, v)",
}


def _network(name: str) -> Network:
    generator = np.random.default_rng(0)
    uneven = np.logspace(-1, 1, 8).reshape(8, 1, 1, 1)
    weights = {
        "w": generator.normal(0.0, 0.5, (8, 4, 3, 3)) * uneven,
        "b": generator.normal(0.0, 0.1, 8) * uneven.ravel(),
        "d": generator.normal(0.0, 0.5, (8, 1, 3, 3)) / uneven,
        "v": generator.normal(0.0, 0.5, (6, 8, 1, 1)) / uneven.reshape(1, 8, 1, 1),
    }
    values = {label: value.astype(np.float32) for label, value in weights.items()}
    body = f"(float[1,4,12,12] x) => (float y) {{ {BODIES[name]} }}"
    return onnx_network(onnx_model(body, values, opset=10))


def _equalized(network: Network) -> tuple[OnnxGraph, bool]:
    graph = graph_from_onnx(open_onnx(network.model_bytes, name="test"))
    before = list(graph.constants)
    statistics = observe(graph, uniform_inputs(network, samples=4, seed=0))
    updated = equalize(graph, statistics).statistics
    seen = observe(graph, uniform_inputs(network, samples=4, seed=0))
    for label, expected in updated.items():
        assert np.allclose(seen[label].highs, expected.highs, rtol=1e-3, atol=1e-5)
        assert np.allclose(seen[label].lows, expected.lows, rtol=1e-3, atol=1e-5)
    return graph, list(graph.constants) != before


@pytest.mark.parametrize("name", BODIES)
def test_outputs_stay_what_they_are(name: str) -> None:
    network = _network(name)
    graph, changed = _equalized(network)
    model = onnx_network(graph_to_onnx(graph))
    feed = uniform_inputs(network, samples=1, seed=1)

    assert changed is (name not in {"read twice", "clipped"})
    assert np.allclose(run_onnx(model, feed)[0], run_onnx(network, feed)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["depthwise", "plain", "pooled"])
def test_channels_of_very_different_range_keep_30_db(name: str) -> None:
    assert min(signal_to_noise_db(_network(name))) >= 30.0
