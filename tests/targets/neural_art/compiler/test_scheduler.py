"""What the compiler promises of any graph under any choices."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_graphs import choices, graphs, memories, run, settings_of_networks

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT, Block
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.hardware import Hardware


@st.composite
def compiled(draw) -> tuple[Run, Hardware, bool]:
    """A random graph on random memory under random choices, where it fits."""
    graph, hardware, wide = draw(graphs()), draw(memories()), draw(settings_of_networks)
    chosen = [draw(choices) for _ in graph.operations]
    try:
        found = run(graph, chosen, hardware=hardware, settings=wide)
    except CompilerError:
        assume(False)
    return found, hardware, wide.virtual_pools


def lifetimes(found: Run) -> list[tuple[int, int, Block]]:
    """Every block with the first and the last moment at which it is in use.

    A moment is an epoch, and in a depth-first segment each of its members. What a segment reads
    from outside is in use until its last stripe ends; rows between its members are where they are
    kept throughout, and otherwise from the member that writes them on. Weights that are preloaded
    arrive during the moment before theirs.
    """
    graph = found.machine.graph
    starts, ends, reading = [], [], {}
    for step in found.steps:
        starts.append(ends[-1] + 1 if ends else 0)
        ends.append(starts[-1] + len(step.epoch.members) - 1)
        segment = step.epoch.segment
        joins = segment is not None and segment.halo == "recompute"
        for operation in graph.operations[step.epoch.first : step.epoch.last + 1]:
            reading |= dict.fromkeys(operation.inputs, ends[-1] - joins)
    reading |= dict.fromkeys(graph.outputs, ends[-1])
    inputs = found.machine.live(found.beginning.state)
    blocks = [(0, reading.get(block.name, ends[-1]), block) for block in inputs]
    for step, start, end in zip(found.steps, starts, ends, strict=True):
        segment = step.epoch.segment
        rows = {each.name: each for each in segment.rows} if segment is not None else {}
        sums = iter([n for n, m in enumerate(step.epoch.members) for _ in m.total.workspace])
        for block in step.placement.placed:
            if block.name.startswith("weights for"):
                blocks.append((max(start - 1, 0), end, block))
            elif block.name.startswith("partial sums"):
                at = start + next(sums)
                blocks.append((at, at, block))
            elif block.name in rows:
                own = rows[block.name]
                blocks.append((start + own.first, start + own.last, block))
            else:
                joins = segment is not None and segment.halo == "recompute"
                last = max(reading.get(block.name, end), end)
                blocks.append((end if joins else start, last, block))
    return blocks


def moments(found: Run) -> int:
    return sum(len(step.epoch.members) for step in found.steps)


@given(compiled())
@settings(max_examples=200, deadline=None)
def test_no_two_blocks_in_use_at_the_same_time_overlap(case):
    found, _, _ = case
    for (first, last, one), (begin, end, other) in combinations(lifetimes(found), 2):
        if first <= end and begin <= last:
            assert one.end <= other.start or other.end <= one.start, (one, other)


@given(compiled())
@settings(max_examples=70, deadline=None)
def test_every_map_is_in_memory_unless_it_stays_inside_an_epoch(case):
    found, _, _ = case
    graph = found.machine.graph
    placed = {block.name: block for _, _, block in lifetimes(found)}
    rows = {}
    for step in found.steps:
        kept = () if step.epoch.segment is None else step.epoch.segment.rows
        rows |= {each.name: each.size_bytes for each in kept}
        for operation in graph.operations[step.epoch.first : step.epoch.last + 1]:
            inside = placed.keys().isdisjoint(operation.outputs)
            assert inside == (
                operation is not graph.operations[step.epoch.last] and operation.output not in rows
            )
    for name, block in placed.items():
        if name in graph.maps:
            size = rows.get(name, graph.maps[name].size_bytes)
            assert block.end - block.start == size <= graph.maps[name].size_bytes


@given(compiled())
@settings(max_examples=100, deadline=None)
def test_every_block_is_aligned_and_inside_a_pool_or_pools_that_touch(case):
    found, hardware, virtual_pools = case
    for _, _, block in lifetimes(found):
        assert block.start % ALIGNMENT == 0
        ranges = [(pool.base, pool.end) for pool in hardware.external]
        for pool in sorted(hardware.internal, key=lambda pool: pool.base):
            if virtual_pools and ranges and ranges[-1][1] == pool.base:
                ranges[-1] = (ranges[-1][0], pool.end)
            else:
                ranges.append((pool.base, pool.end))
        assert any(low <= block.start and block.end <= high for low, high in ranges)


@given(compiled())
@settings(max_examples=100, deadline=None)
def test_the_peak_of_live_bytes_is_that_of_the_lifetimes(case):
    found, hardware, _ = case
    blocks = lifetimes(found)
    peak = max(
        sum(block.end - block.start for first, last, block in blocks if first <= number <= last)
        for number in range(moments(found))
    )
    assert evaluation_of(found, hardware).metrics["peak_live_bytes"] == peak


@given(compiled())
@settings(max_examples=70, deadline=None)
def test_ram_is_the_sum_over_pools_of_the_highest_byte_in_use(case):
    found, hardware, _ = case
    blocks = [block for _, _, block in lifetimes(found)]
    metrics = evaluation_of(found, hardware).metrics

    def needed(pools) -> int:
        return sum(
            max((min(b.end, p.end) - p.base for b in blocks if b.start < p.end and b.end > p.base),
                default=0)
            for p in pools
        )  # fmt: skip

    assert metrics["internal_ram_bytes"] == needed(hardware.internal)
    assert metrics["external_ram_bytes"] == needed(hardware.external)
    assert metrics["ram_bytes"] == needed((*hardware.internal, *hardware.external))
    assert metrics["ram_bytes"] >= metrics["peak_live_bytes"]


@given(compiled())
@settings(max_examples=50, deadline=None)
def test_every_operation_runs_in_one_epoch_and_all_in_order(case):
    found, _, _ = case
    ran = [p for step in found.steps for p in range(step.epoch.first, step.epoch.last + 1)]
    assert ran == list(range(len(found.machine.graph.operations)))


@given(compiled())
@settings(max_examples=70, deadline=None)
def test_metrics_are_finite_and_not_negative_and_rows_add_up(case):
    found, hardware, _ = case
    evaluation = evaluation_of(found, hardware)
    assert all(0 <= value < float("inf") for value in evaluation.metrics.values())
    for row in evaluation.profile.values():
        assert all(0 <= value < float("inf") for value in row.values())
    total = sum(row["cycles"] for row in evaluation.profile.values())
    assert total == pytest.approx(evaluation.metrics["cycles"])
    assert len(evaluation.profile) == len(found.machine.graph.operations)


@given(compiled())
@settings(max_examples=50, deadline=None)
def test_no_epoch_takes_more_units_than_there_are(case):
    found, hardware, _ = case
    for member in [member for step in found.steps for member in step.epoch.members]:
        assert sum(d.accelerators for d in member.demands) <= hardware.units.accelerators
        assert sum(d.decompressors for d in member.demands) <= hardware.units.decompressors
