"""Depth-first segments: runs of operations that pass one stripe of rows on after the other.

Every operation of a segment, or every group of them that is chained, is an epoch that runs once
for each stripe; fixed costs, kernels and streamed weights count every time. Weights that are
preloaded arrive before the segment starts and stay until it ends, so that they come from flash
once. Of the maps between the epochs only some rows are in memory (see :mod:`.rows`).

With ``halo`` as ``keep`` the last epoch writes its rows into the output where they belong. With
``recompute`` the segment is what rewriting a graph can express: every stripe starts with slices of
the maps from outside and ends with a map of its own, and a concatenation puts these together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from npu_tune.targets.neural_art.compiler.choice import NEUTRAL, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import (
    Epoch,
    HeldRows,
    SegmentEpochs,
    Span,
    make_epoch,
    make_span,
    may_join,
)
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE, Cut, SegmentRows
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Units


@dataclass(frozen=True, slots=True)
class CutOperation:
    """An operation of a segment.

    Args:
        choice: effective, without parts.
        demand: of all stripes together.
        cut: what they compute and read.
    """

    choice: Choice
    demand: Demand
    cut: Cut


def make_segment(
    graph: OperationGraph,
    first: int,
    operations: Sequence[CutOperation],
    rows: SegmentRows,
    *,
    halo: str,
    units: Units,
) -> Epoch:
    """Makes a segment; chained operations share an epoch as far as the units suffice.

    Args:
        graph: that is compiled.
        first: position of the first operation.
        operations: from there on.
        rows: of the segment.
        halo: ``keep`` or ``recompute``.
        units: of the hardware.
    """
    last = first + len(operations) - 1
    members = list(_members(graph, first, operations, units))
    output = graph.operations[last].output
    stripes = operations[0].cut.stripes
    if halo == RECOMPUTE:
        members = _with_moves(graph, members, rows, output, stripes)
    span = make_span(graph, first, last)
    choices = tuple(each.choice for each in operations)
    demands = tuple(each.demand for each in operations)
    return Epoch(
        span,
        choices,
        demands,
        _total(members),
        segment=SegmentEpochs(
            tuple(members), tuple(_rows(graph, members, rows, output)), stripes, halo
        ),
    )


def stripes_of(name: str) -> str:
    """Name of the stripes of the output of a segment, before they are put together."""
    return f"stripes of {name}"


def slice_of(name: str) -> str:
    """Name of the slice of a map from outside that a stripe reads."""
    return f"slice of {name}"


def moves_rows(member: Epoch) -> bool:
    """Tells whether an epoch of a segment is a slice or the concatenation, which no layer asks for."""
    source, target = member.span.inputs[0][0], member.span.output
    return target == slice_of(source) or source == stripes_of(target)


def _members(
    graph: OperationGraph, first: int, operations: Sequence[CutOperation], units: Units
) -> Iterator[Epoch]:
    """One epoch for every operation, or for as many as are chained."""
    position = 0
    while position < len(operations):
        size, epoch = 1, None
        while True:
            run = operations[position : position + size]
            choices = tuple(each.choice for each in run)
            demands = tuple(each.demand for each in run)
            span = _cut_span(graph, first + position, run)
            if epoch is not None and not may_join(span, choices, demands, units):
                size -= 1
                break
            epoch = make_epoch(span, choices, demands)
            if not run[-1].choice.chain or position + size == len(operations):
                break
            size += 1
        yield epoch
        position += size


def _cut_span(graph: OperationGraph, first: int, run: Sequence[CutOperation]) -> Span:
    """The span of operations, with the bytes that all stripes together move."""
    last = first + len(run) - 1
    span = make_span(graph, first, last)
    cut = run[-1].cut
    return replace(
        span,
        inputs=tuple(_inputs(graph, span, run)),
        output_bytes=round(span.output_bytes * cut.computed),
        scattered_out=span.scattered_out * cut.computed,
    )


def _inputs(
    graph: OperationGraph, span: Span, run: Sequence[CutOperation]
) -> Iterator[tuple[str, int]]:
    """The maps that a span reads, with bytes; of the first one, by which demands count, of one read.

    Of another operand, rows are read as they are computed, or all of it for each stripe.
    """
    operations = graph.operations[span.first : span.last + 1]
    inside = {operation.output for operation in operations[:-1]}
    readers = [
        (graph.maps[operation.output].height, each.cut)
        for operation, each in zip(operations, run, strict=True)
        for name in operation.inputs
        if name not in inside
    ]
    yield span.inputs[0]
    for (name, size), (height, cut) in zip(span.inputs[1:], readers[1:], strict=True):
        yield (
            name,
            round(size * (cut.computed if graph.maps[name].height == height else cut.stripes)),
        )


def _with_moves(
    graph: OperationGraph, members: Sequence[Epoch], rows: SegmentRows, output: str, stripes: int
) -> list[Epoch]:
    """The epochs between slices of what they read from outside and a concatenation."""
    size = graph.maps[output].size_bytes
    names = {name: slice_of(name) for name in rows.taken} | {output: stripes_of(output)}
    first, last = members[0], members[-1]
    slices = [
        _move(first.first, first.span.names[0], (name, slice_of(name)), moved, times=stripes)
        for name, (_, moved) in rows.taken.items()
    ]
    renamed = [
        replace(
            member,
            span=replace(
                member.span,
                inputs=tuple((names.get(name, name), each) for name, each in member.span.inputs),
                output=names.get(member.span.output, member.span.output),
            ),
        )
        for member in members
    ]
    together = (stripes_of(output), output)
    joined = _move(last.last, last.span.names[-1], together, size, times=1)
    return [*slices, *renamed, joined]


def _move(
    position: int, name: str, moved: tuple[str, str], size_bytes: int, *, times: int
) -> Epoch:
    """An epoch that copies rows from one map into another; it counts for the operation beside it."""
    source, target = moved
    span = Span(
        first=position,
        last=position,
        names=(name,),
        inputs=((source, size_bytes),),
        output=target,
        output_bytes=size_bytes,
        further=(),
        scattered_out=0.0,
        software=False,
        note="",
        pools=0,
        arithmetics=0,
        functions=0,
        line_bytes=0,
    )
    return make_epoch(span, (NEUTRAL,), (Demand(0.0, parts=times),))


def _rows(
    graph: OperationGraph, members: Sequence[Epoch], rows: SegmentRows, output: str
) -> Iterator[HeldRows]:
    """What lies in memory between the members, in the order in which it is written.

    Rolling buffers stay from the first stripe to the last. Where rows are recomputed nothing is
    left of a stripe but its output, so that rows are there from the member that writes them to the
    last one that reads them.
    """
    recomputes = stripes_of(output) in {member.span.output for member in members}
    readers: dict[str, int] = {}
    for number, member in enumerate(members):
        readers |= {name: number for name, _ in member.span.inputs}
    sizes: Mapping[str, int] = {
        **rows.held,
        **{slice_of(name): most for name, (most, _) in rows.taken.items()},
    }
    end = len(members) - 1
    for number, member in enumerate(members[:-1]):
        name = member.span.output
        if name == stripes_of(output):
            yield HeldRows(name, graph.maps[output].size_bytes, 0, end)
        elif recomputes:
            yield HeldRows(name, sizes[name], number, readers[name])
        else:
            yield HeldRows(name, sizes[name], 0, end)


def _total(members: Sequence[Epoch]) -> Demand:
    """Sums of what a whole segment needs; what single epochs need is up to them."""
    totals = [member.total for member in members]
    return Demand(
        compute=sum(total.compute for total in totals),
        stored=sum(total.stored for total in totals),
        streamed=sum(total.streamed for total in totals),
        preloaded=sum(total.preloaded for total in totals),
        late=sum(t.late if t.preloaded else t.streamed for t in totals),
        buffer=sum(total.buffer for total in totals),
        fetched=sum(total.fetched for total in totals),
        resident=sum(total.resident for total in totals),
        taken=sum(total.taken for total in totals),
        partial=sum(total.partial for total in totals),
        energy=sum(total.energy for total in totals),
        macs=sum(total.macs for total in totals),
        accelerators=max(total.accelerators for total in totals),
        decompressors=max(total.decompressors for total in totals),
        parts=sum(total.parts for total in totals),
    )
