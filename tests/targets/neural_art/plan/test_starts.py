"""Planned configurations: near what the simulator says, and better than the default."""

from __future__ import annotations

from itertools import pairwise

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.plan.starts import plans

NETWORKS = ("resnet8", "ds-cnn", "squeezenet-96", "mobilenet-v2-0.35-96")


@pytest.fixture(scope="module", params=NETWORKS)
def problem(request):
    with load_target("neural-art-stm32n6").bind(zoo_network(request.param)) as bound:
        yield bound


@pytest.fixture(scope="module")
def started(problem):
    """All starts with their metrics."""
    return [(start, problem.evaluate(start.configuration).metrics) for start in problem.starts()]


def chosen(configuration, name):
    return [value for full, value in configuration.items() if full.endswith(f"/{name}")]


def cost(metrics, baseline) -> float:
    """What weighs time and memory alike."""
    return sum(metrics[name] / baseline[name] for name in ("latency_ms", "ram_bytes")) / 2


def test_plans_of_streamed_weights_are_estimated_within_eight_percent(problem):
    plain = [
        plan
        for plan in plans(problem.compiler)
        if "resident" not in chosen(plan.configuration, "weights")
    ]
    assert plain
    for plan in plain:
        # Chained operations of a segment, which share their fixed costs, are estimated one by one.
        cycles = problem.evaluate(plan.configuration).metrics["cycles"]
        assert plan.cycles == pytest.approx(cycles, rel=0.08)


def test_plans_of_resident_weights_are_estimated_roughly(problem):
    kept = [
        plan
        for plan in plans(problem.compiler)
        if "resident" in chosen(plan.configuration, "weights")
    ]
    assert kept
    for plan in kept:
        # Weights may be in slower RAM or in several pools at a time, and chained operations of
        # a segment cost less than by themselves.
        cycles = problem.evaluate(plan.configuration).metrics["cycles"]
        assert plan.cycles == pytest.approx(cycles, rel=0.2)


def test_plans_trade_time_for_memory(problem):
    made = sorted(
        (plan for plan in plans(problem.compiler)
         if "resident" not in chosen(plan.configuration, "weights")),
        key=lambda plan: plan.ram_bytes,
    )  # fmt: skip
    for smaller, larger in pairwise(made):
        assert larger.cycles <= smaller.cycles + 1e-6


def test_planning_again_gives_the_same_plans(problem):
    assert plans(problem.compiler) == plans(problem.compiler)


def test_the_default_is_the_first_start(started, problem):
    assert started[0][0].configuration == problem.space.default


def test_starts_are_effective_configurations(started, problem):
    for start, _ in started:
        assert problem.space.effective(start.configuration) == start.configuration


def test_no_configuration_is_started_from_twice(started):
    configurations = [start.configuration for start, _ in started]
    assert len(set(configurations)) == len(configurations)
    labels = [start.label for start, _ in started]
    assert all(labels)


def test_some_start_is_better_than_the_default(started):
    (_, default), *planned = started
    assert min(cost(metrics, default) for _, metrics in planned) < 0.97


def test_some_start_is_faster_and_some_start_needs_less_memory(started):
    (_, default), *planned = started
    assert min(metrics["latency_ms"] for _, metrics in planned) < default["latency_ms"]
    assert min(metrics["ram_bytes"] for _, metrics in planned) <= default["ram_bytes"]
