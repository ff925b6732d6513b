from __future__ import annotations

import pytest
from small_networks import core_of, network_of, offer, size_of, tried

from npu_tune.errors import EvaluationError
from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.front import lower_bound
from npu_tune.testing import some_configurations

BOUNDED = ("latency_ms", "ram_bytes", "peak_live_bytes")
RESIDUAL = """
    a = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (x, v)
    b = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (a, w)
    y = Add (a, b)
"""


@pytest.mark.parametrize("name", ["resnet8", "squeezenet-128-c101", "mobilenet-v2-0.35-96"])
def test_no_configuration_falls_below_the_bound(name):
    problem = load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx"))
    bound, space = problem.bound().metrics, problem.space
    fixed = {k.full_name: k.default for k in space.knobs if k.layer == "network"}
    fixed.pop("network/placement")  # it holds for all of them
    for configuration in some_configurations(space, 200):
        metrics = problem.evaluate(configuration.replace(fixed)).metrics
        for metric in BOUNDED:
            assert metrics[metric] >= bound[metric] * (1 - 1e-12), (metric, configuration)


@pytest.mark.parametrize("pools", [{}, {"npuRAM5": 3000, "npuRAM4": 2500, "cpuRAM2": 3000}])
@pytest.mark.parametrize("external", [True, False])
def test_nothing_that_can_be_tried_falls_below_the_bound(pools, external):
    weights = {"v": (8, 8, 3, 3), "w": (8, 8, 3, 3)}
    network = network_of(RESIDUAL, weights, inputs="float[1,8,16,16] x")
    try:
        core = core_of(network, {"accelerators": 2, "pools": pools}, external_ram=external)
    except EvaluationError:
        pytest.skip("the default configuration does not fit")
    names = {"weights", "chain", "output_pool", "parts", "accelerators"}
    offer(
        core,
        {k.full_name: k.values[:2] for k in core.space.knobs if k.name in names},
    )
    assert size_of(core.space) < 20_000
    bound = lower_bound(core, rule="calibrated").metrics
    for metrics in tried(core, BOUNDED):
        for name, value in zip(BOUNDED, metrics, strict=True):
            assert value >= bound[name] * (1 - 1e-11)


def test_the_bound_of_latency_is_reached_where_memory_is_plentiful():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("ds-cnn", format="onnx"))
    front = problem.front(objectives=("latency_ms",))
    assert front.points[0].metrics["latency_ms"] == pytest.approx(
        problem.bound().metrics["latency_ms"]
    )
