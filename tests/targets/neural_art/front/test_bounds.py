from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from small_graphs import STM32N6, choices, graphs, memories, settings_of_networks
from small_networks import core_of, network_of, offer, size_of, tried

from npu_tune.errors import CompilerError, EvaluationError
from npu_tune.network import zoo_network
from npu_tune.space import SearchSpace
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.front import exact_front, lower_bound
from npu_tune.targets.neural_art.front.bounds import relaxed_optima
from npu_tune.targets.neural_art.front.reduce import reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import RELAXED
from npu_tune.targets.neural_art.knobs import layer_knobs
from npu_tune.targets.oracle import gap
from npu_tune.testing import some_configurations

BOUNDED = ("latency_ms", "ram_bytes", "peak_live_bytes")
RESIDUAL = """
    a = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (x, v)
    b = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (a, w)
    y = Add (a, b)
"""


WEIGHTS = (0.0, 0.2, 0.5, 0.8, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds-cnn", "resnet8", "squeezenet-128-c101"])
def test_no_configuration_falls_below_the_bound(name):
    problem = load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx"))
    bound, space = problem.bound(), problem.space
    baseline = problem.evaluate(space.default).metrics
    fixed = {k.full_name: k.default for k in space.knobs if k.layer == "network"}
    fixed.pop("network/placement")  # it holds for all of them
    planned = [start.configuration for start in problem.starts()]
    for configuration in (*planned, *some_configurations(space, 200)):
        try:
            metrics = problem.evaluate(configuration.replace(fixed)).metrics
        except EvaluationError:
            continue
        for metric in BOUNDED:
            assert metrics[metric] >= bound.metrics[metric] * (1 - 1e-11), (metric, configuration)
        for share in WEIGHTS:
            weights = {"latency_ms": share, "ram_bytes": 1 - share}
            assert gap(bound, metrics, weights=weights, baseline=baseline).excess >= -1e-11


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    graph=graphs(7),
    hardware=st.one_of(st.just(STM32N6), memories()),
    whole=settings_of_networks,
    rule=st.sampled_from(("calibrated", "vendor")),
    data=st.data(),
)
def test_no_weighted_sum_of_time_and_memory_falls_below_the_bound(
    graph, hardware, whole, rule, data
):
    costs = cost_rule(rule, hardware)
    try:
        scheduler = Scheduler(graph, hardware, costs, whole)
    except CompilerError:
        assume(False)
    knobs = layer_knobs(
        graph,
        (hardware,),
        four_bit_weights=True,
        external_ram=whole.external_ram,
        chained=[False] * len(graph.operations),
    )
    space = SearchSpace(tuple(knob for own in knobs for knob in own))
    reduced = reduce_epochs(scheduler, space, dominance=RELAXED)
    price = data.draw(st.sampled_from((0.1, 1.0, 10.0)))
    optima = relaxed_optima(scheduler, costs, space, reduced, price=price)
    for _ in range(8):
        chosen = [data.draw(choices)._replace(unit="accelerator") for _ in graph.operations]
        if data.draw(st.booleans()):
            chosen = [choice._replace(depth_first=True) for choice in chosen]
        try:
            run = scheduler.run(scheduler.resolve(chosen))
        except CompilerError:
            continue
        metrics = evaluation_of(run, hardware).metrics
        cycles, size = metrics["cycles"], metrics["peak_live_bytes"]
        assert metrics["ram_bytes"] >= size >= optima[-1][1]
        for each in (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 1e4):
            least = min(relaxed[0] + each * relaxed[1] for relaxed in optima)
            assert cycles + each * size >= least * (1 - 1e-11)


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


@pytest.mark.parametrize(("name", "most"), [("ds-cnn", 1e-9), ("resnet8", 0.01)])
def test_plans_are_close_to_the_bound_where_time_and_memory_weigh_alike(name, most):
    problem = load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx"))
    baseline = problem.evaluate(problem.space.default).metrics
    weights = {"latency_ms": 0.5, "ram_bytes": 0.5}
    bound = problem.bound()
    gaps = [
        gap(bound, problem.evaluate(s.configuration).metrics, weights=weights, baseline=baseline)
        for s in problem.starts()
    ]
    assert min(found.excess for found in gaps) <= most


def test_the_bound_of_latency_is_reached_where_memory_is_plentiful_and_weights_come_from_flash():
    core = core_of(zoo_network("ds-cnn", format="onnx"), {})
    names = {"depth_first", "weights"}
    offer(core, {k.full_name: k.values for k in core.space.knobs if k.name not in names})
    offered = {k.full_name: ("preload",) for k in core.space.knobs if k.name == "weights"}
    offer(core, {k.full_name: k.values for k in core.space.knobs} | offered)
    front = exact_front(core, rule="calibrated", objectives=("latency_ms",))
    bound = lower_bound(core, rule="calibrated")
    assert front.points[0].metrics["latency_ms"] == pytest.approx(bound.metrics["latency_ms"])
