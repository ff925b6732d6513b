"""Estimates of epochs, against what the simulator makes of them."""

from __future__ import annotations

import pytest
from small_graphs import STM32N6, chain, image, run

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED, VENDOR, cost_rule, memories_of
from npu_tune.targets.neural_art.plan.estimate import Estimator

GRAPH = chain(
    image(16, 32),
    {"kernels": 96},
    {"kernels": 96, "taps": 3, "depthwise": True, "stride": 2},
    {"kernels": 24},
)


def estimator(rule: str) -> Estimator:
    hardware = memories_of(rule, STM32N6)
    return Estimator(hardware, cost_rule(rule, hardware))


@pytest.mark.parametrize("rule", [CALIBRATED, VENDOR])
@pytest.mark.parametrize(
    "chosen",
    [
        Choice(),
        Choice(accelerators=4),
        Choice(stationarity="feature"),
        Choice(parts=4),
        Choice(chain=True),
        Choice(weight_compression=True),
        Choice(weights="resident", weights_pool="npu"),
        Choice(depth_first=True, stripes=4),
        Choice(depth_first=True, stripes=8, weights="resident", weights_pool="npu"),
        Choice(depth_first=True, stripes=4, halo="recompute"),
    ],
)
def test_an_estimate_is_what_the_simulator_says_where_maps_have_memories_of_their_own(
    rule, chosen
):
    found = run(GRAPH, chosen, rule=rule)
    for step in found.steps:
        assert estimator(rule).cycles(step.epoch) == pytest.approx(step.cycles, rel=0.02)


def test_preloaded_weights_take_no_flash_while_the_epoch_runs():
    first, *_, last = run(GRAPH, Choice(weights="preload")).steps
    assert estimator(CALIBRATED).estimate(last.epoch).flash == 0
    assert estimator(CALIBRATED).cycles(last.epoch) == pytest.approx(last.cycles, rel=0.02)
    weights = last.epoch.total.preloaded
    assert estimator(CALIBRATED).flash_cycles(weights) == pytest.approx(last.costs.preloading)
    assert first.epoch.total.preloaded > 0


@pytest.mark.parametrize("rule", [CALIBRATED, VENDOR])
@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "squeezenet-96", "mobilenet-v2-0.35-96"])
def test_the_default_of_a_network_is_estimated_within_two_percent(name, rule):
    with load_target("neural-art-stm32n6", {"rule": rule}).bind(zoo_network(name)) as problem:
        default, compiler = problem.space.default, problem.compiler
        hardware = compiler.scheduler(default).hardware
        own = Estimator(hardware, cost_rule(rule, hardware))
        steps = compiler.run(default).steps
        estimated = sum(own.cycles(step.epoch) for step in steps)
    assert estimated == pytest.approx(sum(step.cycles for step in steps), rel=0.02)
