"""Rows of feature maps in a depth-first segment: which are computed, read and held per stripe.

A *segment* is a run of consecutive operations that goes depth-first: the rows of its last output
are made in stripes, and for each stripe every operation computes just the rows that the stripe
needs. Rows around a stripe, which windows need, come in one of two ways:

- ``keep``: every map between the operations is a rolling buffer. An operation computes the rows
  that are new and reads those that are left from the stripe before. Nothing is computed twice.
- ``recompute``: every stripe computes all the rows it needs, those of its neighbours too.

Rows are found backwards from the stripes of the output, over all readers of each map, so that
branches may part and meet again inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from npu_tune.targets.neural_art.graph import FeatureMap, Operation, OperationGraph, OperationKind

_Rows = NDArray[np.int64]
_Spans = tuple[_Rows, _Rows]
"""Where rows begin and end, stripe by stripe."""

KEEP = "keep"
RECOMPUTE = "recompute"
HALOS = (KEEP, RECOMPUTE)

_ROW_BY_ROW = frozenset({"Load", "Concat", "CONCATENATION"})
"""Copies that write each row from the same row of their inputs, if these have as many rows."""

_TRANSPOSED = frozenset({"ConvTranspose", "TRANSPOSE_CONV"})


@dataclass(frozen=True, slots=True)
class Cut:
    """How much an operation does in all stripes of a segment together.

    Args:
        stripes: number of them.
        computed: rows of the output that it computes / rows of the output.
        read: rows of the first input that it reads / rows of that input.
        made: rows of the first input that are computed in the segment / rows of that input; 1 for
            a map from outside.
        most: rows of the output that it computes in one stripe, at most / rows of the output.
    """

    stripes: int = 1
    computed: float = 1.0
    read: float = 1.0
    made: float = 1.0
    most: float = 1.0


WHOLE = Cut()
"""Of an operation that is in no segment."""


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Rows of a segment.

    Args:
        cuts: one per operation.
        held: by map between the operations, bytes of the rows that are in memory at one time.
        taken: by map from outside that is read row by row, bytes of the most rows that one stripe
            reads, and bytes that all stripes read.
    """

    cuts: tuple[Cut, ...]
    held: Mapping[str, int]
    taken: Mapping[str, tuple[int, int]]


def uncuttable(graph: OperationGraph, position: int) -> str:
    """Why an operation cannot compute its output row by row; "" if it can."""
    operation = graph.operations[position]
    output = graph.maps[operation.output]
    if graph.batch > 1:
        return "there are several samples at a time"
    if operation.further_outputs or any(name in graph.inputs for name in operation.outputs):
        return "it writes more than one map, or state"
    if output.height < 2:
        return "its output has one row"
    if operation.kind is OperationKind.SOFTWARE:
        return "the CPU computes it"
    sources = tuple(graph.maps[name] for name in operation.inputs)
    return _unlike_rows(operation, sources, output)


def _unlike_rows(operation: Operation, sources: tuple[FeatureMap, ...], output: FeatureMap) -> str:
    """Why rows of the output do not come from rows of the inputs; "" if they do."""
    heights = {source.height for source in sources}
    match operation.kind:
        case OperationKind.COPY:
            if operation.op not in _ROW_BY_ROW or heights != {output.height}:
                return f"{operation.op} moves rows"
        case OperationKind.ARITHMETIC:
            if not heights <= {1, output.height}:
                return "the rows of its inputs are not those of its output"
        case OperationKind.ACTIVATION:
            if heights != {output.height}:
                return "the rows of its input are not those of its output"
        case _ if operation.global_pool:
            return "it needs all rows at once"
        case _ if operation.op in _TRANSPOSED:
            return "its window does not slide over rows of its input"
        case _:
            padding = _padding(operation, sources[0], output)
            if not -operation.stride[0] < padding <= 2 * (_window(operation) - 1):
                return "the rows of its input are not those of a window that slides"
    return ""


def segment_ends(graph: OperationGraph, first: int) -> Iterator[int]:
    """The positions at which segments that start at ``first`` may end, at least one further on.

    No map between the operations of a segment may be read behind it, or leave the network.
    """
    open_maps: set[str] = set()
    for last in range(first, len(graph.operations)):
        operation = graph.operations[last]
        if uncuttable(graph, last):
            return
        open_maps = {name for name in open_maps if graph.readers[name][-1] > last}
        if last > first and not open_maps:
            yield last
        if operation.output in graph.outputs or not graph.readers[operation.output]:
            return
        open_maps.add(operation.output)


def segment_rows(
    graph: OperationGraph, first: int, last: int, *, stripes: int, halo: str
) -> SegmentRows:
    """Finds the rows of a segment.

    Args:
        graph: that is compiled.
        first: position of the first operation.
        last: position of the last one, one of :func:`segment_ends`.
        stripes: of the output, at most its rows.
        halo: ``keep`` or ``recompute``.
    """
    steps = list(rows_from_behind(graph, first, last, stripes=stripes, halo=halo))
    made = {graph.operations[step.position].output: step.computed for step in steps[1:]}
    cuts = tuple(
        Cut(stripes, step.computed, step.read, made.get(step.source, 1.0), step.most)
        for step in reversed(steps)
    )
    held = {graph.operations[step.position].output: step.held for step in reversed(steps[1:])}
    taken = {
        name: (most_bytes(graph, name, rows), all_bytes(graph, name, rows))
        for name, rows in steps[-1].waiting.items()
    }
    return SegmentRows(cuts, held, taken)


@dataclass(frozen=True, slots=True)
class RowsStep:
    """What an operation does in every segment that ends at one position.

    Args:
        position: of the operation.
        computed: rows of the output that it computes / rows of the output.
        most: of these, in one stripe.
        source: the first input if it is read row by row, else "".
        read: rows of the first input that it reads / rows of that input.
        held: bytes of the output that are in memory at one time.
        waiting: by map that is written before the operation and that it or a later one reads row
            by row, the rows that these read.
    """

    position: int
    computed: float
    most: float
    source: str
    read: float
    held: int
    waiting: Mapping[str, _Spans]


def rows_from_behind(
    graph: OperationGraph, first: int, last: int, *, stripes: int, halo: str
) -> Iterator[RowsStep]:
    """Follows the rows of a segment from its last operation to its first.

    Where the segment starts makes no difference to the operations in it.
    """
    height = graph.maps[graph.operations[last].output].height
    ends = height * np.arange(1, stripes + 1) // stripes
    waiting: dict[str, _Spans] = {graph.operations[last].output: (_shifted(ends), ends)}
    for position in range(last, first - 1, -1):
        operation = graph.operations[position]
        output = graph.maps[operation.output]
        low, high = waiting.pop(operation.output)
        if halo == KEEP:
            # Rows that nothing reads are computed with the last stripe.
            high = np.append(high[:-1], output.height)
        own = (_shifted(high) if halo == KEEP else low), high
        source, read = "", float(stripes)
        for number, name in enumerate(dict.fromkeys(operation.inputs)):
            feature_map = graph.maps[name]
            if not _is_cut(operation, feature_map, graph):
                continue
            low_read, high_read = _rows_read(operation, feature_map, graph, own)
            if number == 0:
                used = own[1] > own[0]
                source, read = name, int((high_read - low_read)[used].sum()) / feature_map.height
            if name in waiting:
                known = waiting[name]
                low_read, high_read = (
                    np.minimum(low_read, known[0]),
                    np.maximum(high_read, known[1]),
                )
            waiting[name] = low_read, high_read
        held = most_bytes(graph, operation.output, (low, high))
        computed, most = _sum(own) / output.height, _most(own) / output.height
        yield RowsStep(position, computed, most, source, read, held, dict(waiting))


def _shifted(ends: _Rows) -> _Rows:
    """Where stripes begin that end at these rows."""
    return np.concatenate(([0], ends[:-1]))


def _is_cut(operation: Operation, source: FeatureMap, graph: OperationGraph) -> bool:
    """Tells whether a stripe reads some rows of a map, and not all of one that is broadcast."""
    output = graph.maps[operation.output]
    return operation.kind is not OperationKind.ARITHMETIC or source.height == output.height


def _rows_read(
    operation: Operation, source: FeatureMap, graph: OperationGraph, own: _Spans
) -> _Spans:
    """Where the rows of an input begin and end that rows of the output need, stripe by stripe."""
    if operation.kind not in (OperationKind.CONVOLUTION, OperationKind.POOL):
        return own[0], own[1].copy()
    above = max(0, _padding(operation, source, graph.maps[operation.output])) // 2
    stride = operation.stride[0]
    high = np.clip((own[1] - 1) * stride - above + _window(operation), 1, source.height)
    return np.clip(own[0] * stride - above, 0, high), high


def _window(operation: Operation) -> int:
    return (operation.kernel[0] - 1) * operation.dilation[0] + 1


def _padding(operation: Operation, source: FeatureMap, output: FeatureMap) -> int:
    """Rows around the input, above and below together; negative where rows are not read.

    Files may have one row more above than below or the other way round, which the graph does not
    say; above there is taken to be the smaller half.
    """
    return (output.height - 1) * operation.stride[0] + _window(operation) - source.height


def most_bytes(graph: OperationGraph, name: str, rows: _Spans) -> int:
    """Bytes of the most rows of a map that one stripe reads."""
    return _bytes_of(graph.maps[name], _most(rows))


def all_bytes(graph: OperationGraph, name: str, rows: _Spans) -> int:
    """Bytes of the rows of a map that all stripes read."""
    return _bytes_of(graph.maps[name], _sum(rows))


def _most(rows: _Spans) -> int:
    return int((rows[1] - rows[0]).max())


def _sum(rows: _Spans) -> int:
    return int((rows[1] - rows[0]).sum())


def _bytes_of(feature_map: FeatureMap, rows: int) -> int:
    return ceil(feature_map.size_bytes * rows / feature_map.height)
