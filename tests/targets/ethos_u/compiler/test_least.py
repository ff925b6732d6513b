"""The least that operators cost and feature maps take, against single blocks and schedules."""

from __future__ import annotations

import pytest

from npu_tune.targets.ethos_u.bound import least_memory
from npu_tune.targets.ethos_u.compiler.blocks import block_costs
from npu_tune.targets.ethos_u.compiler.fitting import buffers_weights
from npu_tune.targets.ethos_u.compiler.least import LeastCosts
from npu_tune.targets.ethos_u.compiler.lives import map_lives, map_ways
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.plan import UNBUFFERED, NetworkPlan, OperatorPlan


@pytest.fixture(scope="module")
def alone(u55, resnet8):
    """The scheduler of a schedule without cascades and weight buffers, and its session."""
    session = Session(resnet8, u55.system)
    plan = OperatorPlan(cascade=False, weight_slices=UNBUFFERED)
    (scheduler,) = session.schedule(NetworkPlan(operators=dict.fromkeys(range(40), plan)))
    yield scheduler, session
    session.close()


def test_no_block_costs_less_than_the_least(alone):
    scheduler, session = alone
    least = LeastCosts(scheduler, map_ways(scheduler), session._encoder)
    for op in scheduler.sched_ops:
        found = least.costs(op, traversals=False)
        in_place = op.parent_op.weights and not buffers_weights(scheduler, op)
        if op.ifm2 is not None or in_place:  # whose traffic the costs of blocks leave out
            continue
        blocks = block_costs(scheduler, op, part_kernel=False)
        assert found.least <= min(cost.cycles for cost in blocks)
        assert found.in_place >= found.least


def test_maps_with_one_format_take_what_vela_says(alone):
    scheduler, _ = alone
    ways = map_ways(scheduler)
    _, lives = map_lives(scheduler, ways)
    tensors = [op.ofm.connection.parent_tens for op in scheduler.sched_ops]
    single = [t.storage_size() for t in tensors if len(ways[t]) == 1]
    assert len(single) > 5
    assert {*single} <= {life.size for life in lives}


def test_operators_by_themselves_need_what_velas_snapshot_counts(alone):
    scheduler, _ = alone
    operators, lives = map_lives(scheduler, map_ways(scheduler))
    schedule = scheduler.sg.schedule
    for index, (op, maps) in enumerate(zip(scheduler.sched_ops, operators, strict=True)):
        used = schedule.memory_snapshot[schedule.cost_map[op].time_index]
        in_use = sum(life.size for life in lives if life.first <= index <= life.last)
        assert in_use - maps.saves <= used
    assert least_memory(operators, lives) <= max(schedule.memory_snapshot)


def test_an_input_is_in_use_from_the_beginning_and_an_output_to_the_end(alone):
    scheduler, _ = alone
    operators, lives = map_lives(scheduler, map_ways(scheduler))
    assert min(life.first for life in lives) == -1
    assert max(life.last for life in lives) == len(operators)
