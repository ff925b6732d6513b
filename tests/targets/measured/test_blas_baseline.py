"""That the baseline of the benchmarks computes what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import pytest
from blas_baseline import BlasNetwork
from float_networks import FLOAT_NETWORKS

from npu_tune.targets.measured.fidelity import signal_to_noise_db
from npu_tune.targets.measured.folding import float_graph, reference_outputs

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", [name for name in FLOAT_NETWORKS if name != "resnet50"])
def test_the_baseline_computes_the_same_again_and_again(name):
    network = FLOAT_NETWORKS[name]()
    graph = float_graph(network)
    baseline = BlasNetwork(graph)
    generator = np.random.default_rng(0)
    shape = graph.shapes[graph.inputs[0]]
    feeds = [
        {graph.inputs[0]: generator.uniform(-1, 1, shape).astype(np.float32)} for _ in range(2)
    ]
    expected = reference_outputs(network, feeds)
    found = [tuple(baseline.run(feed)) for feed in feeds]
    assert signal_to_noise_db(expected, found, softmax_axes=[None]) >= 100


@pytest.mark.slow
def test_the_baseline_computes_residual_networks_too():
    test_the_baseline_computes_the_same_again_and_again("resnet50")
