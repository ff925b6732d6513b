"""The compiler's inside: planned schedules, restored graphs, legal blocks."""

from __future__ import annotations

import pytest
from ethosu.vela.architecture_allocator import find_block_config

from npu_tune.targets.ethos_u.compiler.blocks import legal_blocks
from npu_tune.targets.ethos_u.compiler.fitting import whole_block
from npu_tune.targets.ethos_u.compiler.metrics import network_metrics
from npu_tune.targets.ethos_u.compiler.operators import operator_choices
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.plan import NetworkPlan, OperatorPlan


@pytest.fixture(scope="module", params=["u55", "u65"])
def session(request, mobilenet):
    session = Session(mobilenet, request.getfixturevalue(request.param).system)
    yield session
    session.close()


@pytest.mark.parametrize("strategy", ["Performance", "Size"])
def test_a_plan_that_asks_nothing_gives_velas_own_schedule(session, strategy):
    vendor = network_metrics(session.compile(NetworkPlan(strategy)), session.arch)
    planned = NetworkPlan(strategy, operators={0: OperatorPlan()})
    assert network_metrics(session.compile(planned), session.arch) == vendor


def test_compiling_leaves_nothing_behind(session):
    first = network_metrics(session.compile(NetworkPlan()), session.arch)
    session.compile(NetworkPlan(operators={1: OperatorPlan(cascade=True, weight_slices=16)}))
    assert network_metrics(session.compile(NetworkPlan()), session.arch) == first


def test_velas_own_block_is_among_the_legal_ones(session):
    (scheduler,) = session.schedule(NetworkPlan())
    for op in scheduler.sched_ops[:12]:
        config = scheduler.sg.schedule.cost_map[op].block_config
        own = config.ofm_block
        blocks = dict(legal_blocks(op, part_kernel=config.is_partkernel))
        assert (own.height, own.width, own.depth) in blocks


def test_every_block_on_offer_fits_the_hardware_as_it_will_be_checked(session):
    (scheduler,) = session.schedule(NetworkPlan())
    for op, choices in zip(scheduler.sched_ops, operator_choices(session), strict=True):
        for cost in choices.blocks:
            assert whole_block(op, cost.block, part_kernel=cost.part_kernel) is not None


def test_an_oversized_block_does_not_fit(session):
    (scheduler,) = session.schedule(NetworkPlan())
    op = scheduler.sched_ops[0]
    assert whole_block(op, (64, 64, 128), part_kernel=False) is None


def test_a_longer_stripe_takes_more_memory(session):
    choices = operator_choices(session)
    position = next(i for i, c in enumerate(choices) if c.joins_next)
    heights = choices[position + 1].stripe_heights
    rows = []
    for height in (heights[0], heights[-1]):
        plan = NetworkPlan(
            operators={
                position: OperatorPlan(cascade=True),
                position + 1: OperatorPlan(stripe_height=height),
            }
        )
        session.compile(plan)
        rows.append(session.operator_rows()[position]["sram_bytes"])
    assert rows[0] < rows[1]


def test_the_search_for_a_block_is_remembered_not_changed(session):
    (scheduler,) = session.schedule(NetworkPlan())
    for op in scheduler.sched_ops[:8]:
        own = find_block_config(
            op.arch,
            op.op_type.npu_block_type,
            op.ofm.shape,
            op.ifm.shape,
            op.ifm2.shape if op.ifm2 else None,
            op.uses_scalar,
            op.ifm.dtype.size_in_bits(),
            op.kernel,
            2 if op.parent_op.activation_lut else 0,
            op.parent_op.has_scaling(),
            op.resampling_mode,
        )
        used = scheduler.sg.schedule.cost_map[op].block_config
        assert str(own) == str(used)
