"""What lies in the pools of RAM while a configuration runs."""

from __future__ import annotations

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.program import program_document
from npu_tune.testing import some_configurations

NETWORKS = ("resnet8", "squeezenet-128-c101", "mobilenet-v2-0.35-96")


def depth_first(space, **wanted):
    changes = {
        knob.full_name: value
        for knob in space.knobs
        if (value := {"depth_first": True, "stripes": 4, **wanted}.get(knob.name)) in knob.values
    }
    return space.effective(space.configuration(changes))


@pytest.fixture(scope="module", params=NETWORKS)
def problem(request):
    with load_target("neural-art-stm32n6").bind(zoo_network(request.param)) as bound:
        yield bound


@pytest.fixture(scope="module")
def configurations(problem):
    space = problem.space
    return [
        space.default,
        depth_first(space, halo="keep", weights="preload"),
        depth_first(space, halo="recompute", weights="resident"),
        *some_configurations(space, 6, seed=3),
    ]


def test_the_pools_are_used_as_far_as_the_program_says_and_add_up_to_the_metric(
    problem, configurations
):
    for configuration in configurations:
        timeline = problem.memory_timeline(configuration)
        run = problem.compiler.run(configuration)
        program = program_document(run, problem.compiler.hardware(configuration))
        for pool in program["pools"]:
            assert timeline.used_bytes(pool["name"]) == pool["used_bytes"]
            assert timeline.capacities[pool["name"]] == pool["size_bytes"]
        used = sum(timeline.used_bytes(pool) for pool in timeline.pools)
        assert used == problem.evaluate(configuration).metrics["ram_bytes"]


def test_no_more_is_in_use_at_a_time_than_the_metric_says(problem, configurations):
    for configuration in configurations:
        timeline = problem.memory_timeline(configuration)
        most = max(
            sum(timeline.live_bytes(pool, step) for pool in timeline.pools)
            for step in range(len(timeline.steps))
        )
        assert most == problem.evaluate(configuration).metrics["peak_live_bytes"]


def test_what_is_in_use_at_one_time_does_not_overlap(problem, configurations):
    for configuration in configurations:
        timeline = problem.memory_timeline(configuration)
        assert timeline.overlaps() == ()
