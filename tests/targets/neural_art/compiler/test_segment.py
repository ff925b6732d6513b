"""Depth-first segments as epochs: members, what they read and write, and rows between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_graphs import STM32N6, chain, choices, graphs, image, run

from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.segment import moves_rows, slice_of, stripes_of
from npu_tune.targets.neural_art.graph import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
)

DEEP = Choice(depth_first=True, stripes=4)
AGAIN = DEEP._replace(halo="recompute")


def segment_of(graph: OperationGraph, chosen: Choice | list[Choice] = DEEP) -> Epoch:
    """The segment that a graph is as a whole."""
    (step,) = run(graph, chosen).steps
    assert step.epoch.segment is not None
    return step.epoch


def read_bytes(member: Epoch) -> dict[str, float]:
    """Bytes that a member reads of each map."""
    (first, size), *others = member.span.inputs
    return {first: size * member.total.reads, **dict(others)}


def residual(columns: int = 8) -> OperationGraph:
    """A sum of a map from outside and a branch of two layers."""
    source = image(4, 8, columns)
    graph = chain(source, {"kernels": 4, "taps": 3}, {"kernels": 4})
    added = Operation("sum", "Add", OperationKind.ARITHMETIC, ("b.out", "in"), "sum.out")
    return replace(
        graph,
        operations=(*graph.operations, added),
        maps={**graph.maps, "sum.out": replace(source, name="sum.out")},
        outputs=("sum.out",),
    )


# Members ----------------------------------------------------------------------------------


def test_every_operation_is_a_member_unless_it_is_chained():
    graph = chain(image(8, 16), {"kernels": 32}, {"kernels": 8}, {"kernels": 16})
    apart = segment_of(graph)
    assert [member.span.names for member in apart.members] == [("a",), ("b",), ("c",)]
    joined = segment_of(graph, [DEEP._replace(chain=True), DEEP, DEEP])
    assert [member.span.names for member in joined.members] == [("a", "b"), ("c",)]
    assert {rows.name for rows in joined.segment.rows} == {"b.out"}


def test_units_limit_how_many_are_chained_in_a_segment():
    graph = chain(image(64, 16), *[{"kernels": 64}] * 3)
    wide = DEEP._replace(accelerators=2, chain=True)
    assert [m.span.names for m in segment_of(graph, wide).members] == [("a", "b"), ("c",)]


def test_windows_that_overlap_are_chained_only_where_rows_are_computed_again():
    graph = chain(image(8, 16), {"kernels": 8}, {"kernels": 8, "taps": 3, "depthwise": True})
    assert len(segment_of(graph, DEEP._replace(chain=True)).members) == 2
    again = segment_of(graph, AGAIN._replace(chain=True))
    assert [m.span.names for m in again.members if not moves_rows(m)] == [("a", "b")]


@pytest.mark.parametrize("rows", range(16, 32))
def test_rounding_keeps_no_operations_apart(rows):
    graph = chain(image(8, rows), {"kernels": 8}, {"kernels": 8, "taps": 3})
    for stripes in (2, 4, 8, 16):
        members = segment_of(graph, AGAIN._replace(chain=True, stripes=stripes)).members
        assert ("a", "b") in {member.span.names for member in members}


def test_recomputing_adds_a_slice_for_every_map_from_outside_and_a_concatenation():
    epoch = segment_of(residual(), AGAIN)
    first, *_, last = epoch.members
    assert [moves_rows(m) for m in epoch.members] == [True, False, False, False, True]
    assert (first.span.inputs[0][0], first.span.output) == ("in", slice_of("in"))
    assert (last.span.inputs[0][0], last.span.output) == (stripes_of("sum.out"), "sum.out")
    assert (first.total.parts, last.total.parts) == (4, 1)
    assert [m.span.inputs[-1][0] for m in epoch.members[1:4]] == [
        slice_of("in"), "a.out", slice_of("in"),
    ]  # fmt: skip


def test_a_slice_copies_the_rows_that_all_its_readers_need():
    sliced, _, *_ = segment_of(residual(), AGAIN).members
    rows = 8 + 3 * 2  # Three rows of the window, of which two are a neighbour's.
    assert sliced.span.inputs[0][1] == sliced.span.output_bytes == rows * 4 * 8


# What members move ------------------------------------------------------------------------


def test_kept_rows_are_written_once_and_read_once_more_around_every_stripe():
    graph = chain(image(4, 16), {"kernels": 8}, {"kernels": 4, "taps": 3})
    first, second = segment_of(graph).members
    assert first.span.output_bytes == graph.maps["a.out"].size_bytes
    assert read_bytes(first) == {"in": graph.maps["in"].size_bytes}
    assert read_bytes(second) == {"a.out": pytest.approx((16 + 3 * 2) * 16 * 8)}


def test_recomputed_rows_are_written_and_read_for_every_stripe_that_needs_them():
    graph = chain(image(4, 16), {"kernels": 8}, {"kernels": 4, "taps": 3})
    _, first, second, _ = segment_of(graph, AGAIN).members
    assert first.span.output_bytes == (16 + 3 * 2) * 16 * 8
    assert read_bytes(second) == {"a.out": pytest.approx((16 + 3 * 2) * 16 * 8)}


def gated(rows: int) -> OperationGraph:
    """A map times another one of so many rows, and a pool that halves the rows."""
    source, gate = image(4, 8), FeatureMap("gate", 4, rows, 8 if rows > 1 else 1)
    scaled, pooled = replace(source, name="scaled"), FeatureMap("pooled", 4, 4, 4)
    operations = (
        Operation("mul", "Mul", OperationKind.ARITHMETIC, ("in", "gate"), "scaled"),
        Operation("pool", "MaxPool", OperationKind.POOL, ("scaled",), "pooled", kernel=(2, 2),
                  stride=(2, 2)),
        Operation("relu", "Relu", OperationKind.ACTIVATION, ("pooled",), "out"),
    )  # fmt: skip
    maps = (source, gate, scaled, pooled, replace(pooled, name="out"))
    return OperationGraph("gated", operations, {m.name: m for m in maps}, ("in", "gate"), ("out",))


@pytest.mark.parametrize("chosen", [DEEP, DEEP._replace(chain=True)], ids=["apart", "chained"])
def test_an_operand_with_as_many_rows_is_read_once(chosen):
    graph = gated(rows=8)
    first = segment_of(graph, chosen).members[0]
    assert read_bytes(first)["gate"] == graph.maps["gate"].size_bytes


@pytest.mark.parametrize("chosen", [DEEP, DEEP._replace(chain=True)], ids=["apart", "chained"])
def test_an_operand_of_one_row_is_read_for_every_stripe(chosen):
    first = segment_of(gated(rows=1), chosen).members[0]
    assert read_bytes(first)["gate"] == 4 * 4


def test_wide_elements_count_in_rows_and_in_what_is_moved():
    narrow = chain(image(4, 16), {"kernels": 8}, {"kernels": 4, "taps": 3})
    wide = replace(
        narrow,
        maps={
            name: replace(m, bits=16) if name == "a.out" else m for name, m in narrow.maps.items()
        },
    )
    small, large = segment_of(narrow), segment_of(wide)
    assert large.segment.rows[0].size_bytes == 2 * small.segment.rows[0].size_bytes
    assert large.members[0].span.output_bytes == 2 * small.members[0].span.output_bytes


def test_partial_sums_have_room_for_the_largest_stripe():
    graph = chain(
        image(3, 64), {"kernels": 32, "taps": 7, "stride": 2}, {"kernels": 32, "taps": 5}
    )
    for chosen in (DEEP, AGAIN):
        segment = segment_of(graph, chosen)
        (member,) = [m for m in segment.members if "a" in m.span.names and not moves_rows(m)]
        (rows,) = [r for r in segment.segment.rows if r.name == "a.out"]
        # 32-bit sums, and what a round adds to them, of the rows that are written together.
        per_row = graph.maps["a.out"].size_bytes // 32
        together = 10 if chosen is DEEP else 12
        assert member.total.workspace == (4 * together * per_row, together * per_row)
        assert rows.size_bytes == 12 * per_row


# Rows -------------------------------------------------------------------------------------


def test_rolling_buffers_stay_for_the_whole_segment():
    epoch = segment_of(residual())
    assert [(r.name, r.first, r.last) for r in epoch.segment.rows] == [
        ("a.out", 0, 2), ("b.out", 0, 2),
    ]  # fmt: skip


def test_recomputed_rows_are_there_from_their_writer_to_their_last_reader():
    epoch = segment_of(residual(), AGAIN)
    assert [(r.name, r.first, r.last) for r in epoch.segment.rows] == [
        (slice_of("in"), 0, 3), ("a.out", 1, 2), ("b.out", 2, 3), (stripes_of("sum.out"), 0, 4),
    ]  # fmt: skip


# Any segment ------------------------------------------------------------------------------


@given(graphs(), st.data())
@settings(max_examples=80, deadline=None)
def test_a_segment_does_everything_that_its_operations_do(graph, data):
    chosen = [
        data.draw(choices)._replace(depth_first=True, unit="accelerator") for _ in graph.operations
    ]
    segments = [s.epoch for s in run(graph, chosen, hardware=STM32N6).steps if s.epoch.segment]
    assume(segments)
    for epoch in segments:
        done = [name for m in epoch.members if not moves_rows(m) for name in m.span.names]
        assert done == list(epoch.span.names)
        exact = sum(graph.operations[p].macs for p in range(epoch.first, epoch.last + 1))
        if epoch.segment.halo == "keep":
            assert epoch.total.macs == exact
        whole = sum(demand.stored for demand in epoch.demands)
        assert epoch.total.stored == whole
