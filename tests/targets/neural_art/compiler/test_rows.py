"""Rows of depth-first segments, against stripes that are walked row by row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import chain, image

from npu_tune.targets.neural_art.compiler.rows import (
    KEEP,
    RECOMPUTE,
    Cut,
    segment_ends,
    segment_rows,
    uncuttable,
)
from npu_tune.targets.neural_art.graph import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
)

# Segments ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A segment that is a whole graph, with its stripes."""

    graph: OperationGraph
    stripes: int

    def rows(self, halo: str):
        last = len(self.graph.operations) - 1
        return segment_rows(self.graph, 0, last, stripes=self.stripes, halo=halo)


@st.composite
def segments(draw) -> Case:
    """Windows, products and sums of any branches; the last operation reads every loose end."""
    maps = [FeatureMap("in", draw(st.integers(1, 3)), draw(st.integers(2, 24)), 2)]
    operations: list[Operation] = []
    for number in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from(maps))
        operation, written = draw(_windows(f"op{number}", source))
        if written.height < 2:
            break
        operations.append(operation)
        maps.append(written)
        # A branch that has as many rows may meet it.
        alike = [m.name for m in maps[:-1] if m.height == written.height]
        if alike and draw(st.booleans()):
            summed = replace(written, name=f"op{number}.sum")
            operands = draw(st.permutations([written.name, draw(st.sampled_from(alike))]))
            operations.append(_sum(summed, *operands))
            maps.append(summed)
    if not operations:
        maps.append(FeatureMap("op.out", 1, maps[0].height, 2))
        operations.append(_sum(maps[-1], "in", "in"))
    operations = _reachable(operations)
    height = {m.name: m for m in maps}[operations[-1].output].height
    graph = OperationGraph(
        "segment",
        tuple(operations),
        {m.name: m for m in maps},
        ("in",),
        (operations[-1].output,),
    )
    return Case(graph, 2 ** draw(st.integers(1, height.bit_length() - 1)))


@st.composite
def _windows(draw, name: str, source: FeatureMap) -> tuple[Operation, FeatureMap]:
    taps, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    dilation = draw(st.sampled_from((1, 1, 2)))
    window = (taps - 1) * dilation + 1
    padding = draw(st.integers(0, 2 * (window - 1)))
    height = (source.height + padding - window) // stride + 1
    kind = draw(st.sampled_from((OperationKind.CONVOLUTION, OperationKind.POOL)))
    written = FeatureMap(f"{name}.out", 1, max(height, 0), 2)
    return (
        Operation(
            name, "Conv", kind, (source.name,), written.name,
            kernel=(taps, 1), stride=(stride, 1), dilation=(dilation, 1),
        ),
        written,
    )  # fmt: skip


def _sum(written: FeatureMap, *operands: str) -> Operation:
    return Operation(written.name, "Add", OperationKind.ARITHMETIC, operands, written.name)


def _reachable(operations: list[Operation]) -> list[Operation]:
    """Those that the last one needs."""
    needed, kept = {operations[-1].output}, []
    for operation in reversed(operations):
        if operation.output in needed:
            kept.append(operation)
            needed |= set(operation.inputs)
    return kept[::-1]


# The same, row by row ---------------------------------------------------------------------


@dataclass
class Walked:
    """What a walk over all stripes saw, per stripe a set of rows."""

    computed: dict[str, list[set[int]]] = field(default_factory=dict)
    read: dict[tuple[str, str], list[set[int]]] = field(default_factory=dict)


def rows_read(operation: Operation, graph: OperationGraph, name: str, row: int) -> set[int]:
    """The rows of an input that a row of the output needs."""
    source, output = graph.maps[name], graph.maps[operation.output]
    if operation.kind not in (OperationKind.CONVOLUTION, OperationKind.POOL):
        return {row}
    window = (operation.kernel[0] - 1) * operation.dilation[0] + 1
    padding = (output.height - 1) * operation.stride[0] + window - source.height
    first = row * operation.stride[0] - max(0, padding) // 2
    return {r for r in range(first, first + window) if 0 <= r < source.height}


def walk(case: Case, halo: str) -> Walked:
    """Asks for the rows of every stripe, the last operation first, and gathers what that takes."""
    graph, walked = case.graph, Walked()
    height = graph.maps[graph.operations[-1].output].height
    there: dict[str, set[int]] = {operation.output: set() for operation in graph.operations}
    for stripe in range(case.stripes):
        wanted = {operation.output: set() for operation in graph.operations}
        ends = [height * number // case.stripes for number in (stripe, stripe + 1)]
        wanted[graph.operations[-1].output] = set(range(*ends))
        for operation in reversed(graph.operations):
            rows = wanted[operation.output]
            if halo == KEEP:
                # From the row behind the last one that is there; at the end, all that are left.
                whole = graph.maps[operation.output].height
                is_end = stripe == case.stripes - 1
                until = whole if is_end else max(rows, default=-1) + 1
                rows = set(range(len(there[operation.output]), until))
                there[operation.output] |= rows
            elif rows:
                rows = set(range(min(rows), max(rows) + 1))
            walked.computed.setdefault(operation.output, []).append(rows)
            for name in dict.fromkeys(operation.inputs):
                needs = {r for row in rows for r in rows_read(operation, graph, name, row)}
                walked.read.setdefault((operation.name, name), []).append(needs)
                if name in wanted:
                    wanted[name] |= needs
    return walked


def span(rows: set[int]) -> int:
    """Rows from the first to the last one."""
    return max(rows) - min(rows) + 1 if rows else 0


@pytest.mark.parametrize("halo", [KEEP, RECOMPUTE])
@given(segments())
@settings(max_examples=60, deadline=None)
def test_rows_are_computed_as_in_a_walk_over_all_stripes(halo, case):
    walked, found = walk(case, halo), case.rows(halo)
    for operation, cut in zip(case.graph.operations, found.cuts, strict=True):
        stripes = walked.computed[operation.output]
        height = case.graph.maps[operation.output].height
        assert cut.stripes == case.stripes
        assert cut.computed * height == pytest.approx(sum(map(len, stripes)))
        assert cut.most * height == pytest.approx(max(map(len, stripes)))


@pytest.mark.parametrize("halo", [KEEP, RECOMPUTE])
@given(segments())
@settings(max_examples=60, deadline=None)
def test_rows_are_read_from_the_first_to_the_last_that_windows_need(halo, case):
    walked, found = walk(case, halo), case.rows(halo)
    for operation, cut in zip(case.graph.operations, found.cuts, strict=True):
        name = operation.inputs[0]
        height = case.graph.maps[name].height
        read = walked.read[operation.name, name]
        assert cut.read * height == pytest.approx(sum(map(span, read)))
        made = sum(map(len, walked.computed[name])) / height if name != "in" else 1.0
        assert cut.made == pytest.approx(made)


@given(segments())
@settings(max_examples=60, deadline=None)
def test_kept_rows_are_computed_once_and_all_of_them(case):
    computed = walk(case, KEEP).computed
    for operation, cut in zip(case.graph.operations, case.rows(KEEP).cuts, strict=True):
        rows = [row for stripe in computed[operation.output] for row in stripe]
        assert sorted(rows) == list(range(case.graph.maps[operation.output].height))
        assert cut.computed == 1.0


@given(segments())
@settings(max_examples=60, deadline=None)
def test_recomputed_rows_are_those_that_some_reader_needs(case):
    walked = walk(case, RECOMPUTE)
    for operation in case.graph.operations[:-1]:
        name = operation.output
        for stripe, rows in enumerate(walked.computed[name]):
            read = set().union(
                *(
                    stripes[stripe]
                    for (_, source), stripes in walked.read.items()
                    if source == name
                )
            )
            assert read <= rows
            assert {min(read), max(read)} == {min(rows), max(rows)}


@given(segments())
@settings(max_examples=60, deadline=None)
def test_a_rolling_buffer_holds_every_row_from_the_first_to_the_last_that_is_read(case):
    walked, found = walk(case, KEEP), case.rows(KEEP)
    for operation in case.graph.operations[:-1]:
        name, feature_map = operation.output, case.graph.maps[operation.output]
        made, held = 0, 0
        for stripe in range(case.stripes):
            made += len(walked.computed[name][stripe])
            later = [
                min(rows)
                for (_, source), stripes in walked.read.items()
                if source == name
                for rows in stripes[stripe:]
                if rows
            ]
            # All that is there by now, but rows above every window that is still to come.
            held = max(held, made - min(later, default=made))
        assert found.held[name] == -(-feature_map.size_bytes * held // feature_map.height)


@given(segments())
@settings(max_examples=60, deadline=None)
def test_recomputed_rows_are_held_for_one_stripe(case):
    walked, found = walk(case, RECOMPUTE), case.rows(RECOMPUTE)
    for name, size in found.held.items():
        feature_map = case.graph.maps[name]
        most = max(map(len, walked.computed[name]))
        assert size == -(-feature_map.size_bytes * most // feature_map.height)


@given(segments())
@settings(max_examples=60, deadline=None)
def test_slices_of_a_map_from_outside_have_the_rows_of_all_its_readers(case):
    walked, found = walk(case, RECOMPUTE), case.rows(RECOMPUTE)
    stripes = [
        set().union(*(read[stripe] for (_, name), read in walked.read.items() if name == "in"))
        for stripe in range(case.stripes)
    ]
    per_row = case.graph.maps["in"].size_bytes // case.graph.maps["in"].height
    most, total = found.taken["in"]
    assert most == per_row * max(map(span, stripes))
    assert total == per_row * sum(map(span, stripes))


# By hand ----------------------------------------------------------------------------------


def test_a_window_of_three_rows_reads_two_rows_again_between_stripes():
    graph = chain(image(4, 16), {"kernels": 4, "taps": 3}, {"kernels": 4, "taps": 3})
    kept = segment_rows(graph, 0, 1, stripes=4, halo=KEEP)
    # The first stripe of the first layer has a row more, the last one a row less.
    assert kept.cuts[0] == Cut(4, 1.0, (16 + 3 * 2) / 16, 1.0, 5 / 16)
    assert kept.cuts[1] == Cut(4, 1.0, (16 + 3 * 2) / 16, 1.0, 4 / 16)
    assert kept.held == {"a.out": 6 * 16 * 4}
    again = segment_rows(graph, 0, 1, stripes=4, halo=RECOMPUTE)
    assert again.cuts[0] == Cut(4, 22 / 16, (16 + 3 * 4) / 16, 1.0, 6 / 16)
    assert again.cuts[1] == Cut(4, 1.0, 22 / 16, 22 / 16, 4 / 16)
    assert again.taken == {"in": (8 * 16 * 4, 28 * 16 * 4)}


def test_a_residual_sum_holds_the_rows_that_its_branch_is_behind():
    graph = chain(image(1, 8), {"kernels": 1}, {"kernels": 1, "taps": 3})
    operations = (*graph.operations, Operation("sum", "Add", OperationKind.ARITHMETIC,
                                               ("b.out", "a.out"), "sum.out"))  # fmt: skip
    graph = replace(
        graph,
        operations=operations,
        maps={**graph.maps, "sum.out": replace(graph.maps["b.out"], name="sum.out")},
        outputs=("sum.out",),
    )
    assert tuple(segment_ends(graph, 0)) == (2,)
    kept = segment_rows(graph, 0, 2, stripes=8, halo=KEEP)
    assert kept.held == {"a.out": 3 * 8, "b.out": 1 * 8}


def test_an_operand_of_one_row_is_read_whole_by_every_stripe():
    source, gate = image(4, 8), FeatureMap("gate", 4, 1, 1)
    out = replace(source, name="out")
    product = Operation("mul", "Mul", OperationKind.ARITHMETIC, ("gate", "in"), "out")
    further = Operation("relu", "Relu", OperationKind.ACTIVATION, ("out",), "end")
    graph = OperationGraph(
        "gated",
        (product, further),
        {m.name: m for m in (source, gate, out, replace(out, name="end"))},
        ("in", "gate"),
        ("end",),
    )
    found = segment_rows(graph, 0, 1, stripes=4, halo=RECOMPUTE)
    assert found.cuts[0].read == 4.0
    assert found.taken.keys() == {"in"}


# What cannot be cut -----------------------------------------------------------------------


def reason(graph: OperationGraph, **changes) -> str:
    first = replace(graph.operations[0], **changes)
    return uncuttable(replace(graph, operations=(first, *graph.operations[1:])), 0)


PLAIN = chain(image(4, 8), {"kernels": 4, "taps": 3}, {"kernels": 4})


def test_what_needs_all_rows_or_moves_them_is_not_cut():
    assert not reason(PLAIN)
    assert reason(PLAIN, kind=OperationKind.SOFTWARE)
    assert reason(PLAIN, kind=OperationKind.POOL, global_pool=True)
    assert reason(PLAIN, kind=OperationKind.COPY, op="Transpose")
    assert not reason(PLAIN, kind=OperationKind.COPY, op="Concat")
    assert reason(PLAIN, further_outputs=("b.out",))
    assert reason(PLAIN, op="ConvTranspose")
    assert reason(PLAIN, kernel=(1, 1), stride=(2, 2))
    assert uncuttable(replace(PLAIN, batch=2), 0)
    assert uncuttable(replace(PLAIN, inputs=("in", "a.out")), 0)
    assert uncuttable(chain(image(4, 1), {"kernels": 4}), 0)


def test_a_segment_ends_where_no_map_inside_is_read_behind_it():
    graph = chain(image(4, 8), *[{"kernels": 4}] * 4)
    assert tuple(segment_ends(graph, 0)) == (1, 2, 3)
    assert not tuple(segment_ends(graph, 3))
    left_early = replace(graph, outputs=("b.out", "d.out"))
    assert tuple(segment_ends(left_early, 0)) == (1,)
    assert tuple(segment_ends(left_early, 2)) == (3,)
    last = replace(graph.operations[3], kind=OperationKind.ARITHMETIC, inputs=("c.out", "a.out"))
    skipping = replace(graph, operations=(*graph.operations[:3], last))
    assert tuple(segment_ends(skipping, 0)) == (3,)
    assert tuple(segment_ends(skipping, 1)) == (2, 3)


def test_a_segment_does_not_go_past_what_cannot_be_cut():
    graph = chain(image(4, 8), *[{"kernels": 4}] * 4)
    third = replace(graph.operations[2], kind=OperationKind.SOFTWARE)
    graph = replace(graph, operations=(*graph.operations[:2], third, graph.operations[3]))
    assert tuple(segment_ends(graph, 0)) == (1,)
    assert not tuple(segment_ends(graph, 1))
