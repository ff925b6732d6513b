"""What pieces need of memory, against what is in use when they run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from small_graphs import graphs, run

from npu_tune.errors import CompilerError
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.plan import starts
from npu_tune.targets.neural_art.plan.pieces import carried_bytes


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_carried_are_the_maps_that_are_in_use_before_an_operation(graph):
    try:
        found = run(graph)
    except CompilerError:
        return
    carried, machine = carried_bytes(graph), found.machine
    states = [found.beginning.state, *(step.state for step in found.steps)]
    for position, state in enumerate(states):
        in_use = [
            block.end - block.start for block in machine.live(state) if block.last >= position
        ]
        assert carried[position] == sum(in_use)


@pytest.mark.parametrize("halo", ["keep", "recompute"])
@pytest.mark.parametrize("name", ["resnet8", "squeezenet-96", "ds-cnn"])
def test_plans_need_what_the_simulator_finds_in_use_at_one_time(name, halo, monkeypatch):
    monkeypatch.setattr(starts, "HALOS", (halo,))
    with load_target("neural-art-stm32n6").bind(zoo_network(name)) as problem:
        made = starts.plans(problem.compiler)
        assert made
        for plan in made:
            found = problem.evaluate(plan.configuration).metrics["peak_live_bytes"]
            # Operations that are chained in a segment leave out a map that plans count.
            assert found <= plan.ram_bytes <= 1.2 * found
