"""Epochs: operations that run together, with their demands but without addresses."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.targets.neural_art.compiler.choice import DIMC, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Units

SCATTERED = frozenset({"Load", "Transpose", "TRANSPOSE", "Concat", "CONCATENATION"})
"""Copies that write element by element, because they interleave channels.

ST's reports show this for the copy of the input; that concatenations cost the same agrees with the
latencies published for SqueezeNet."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Consecutive operations of a graph, and what they read and write; compared by identity.

    Args:
        first: position of the first operation.
        last: position of the last one.
        names: of the operations.
        inputs: (name, bytes) of the maps that are read, those of the first operation first; maps
            between the operations are left out.
        output: name of the map that is written.
        output_bytes: its size.
        further: (name, bytes) of the other maps that are written.
        scattered_out: elements that a copy writes one by one.
        software: whether the CPU runs it.
        note: why the CPU runs it; "" if it does not.
        pools: number of pooling units needed.
        arithmetics: number of arithmetic units needed.
        functions: number of activation units needed.
        line_bytes: bytes of the line buffer needed.
    """

    first: int
    last: int
    names: tuple[str, ...]
    inputs: tuple[tuple[str, int], ...]
    output: str
    output_bytes: int
    further: tuple[tuple[str, int], ...]
    scattered_out: float
    software: bool
    note: str
    pools: int
    arithmetics: int
    functions: int
    line_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """A span with a choice per operation, or a depth-first segment; compared by identity.

    Args:
        span: the operations.
        choices: one per operation.
        demands: one per operation.
        total: their common demand: cycles of the slowest unit, and sums of everything else, but
            ``reads`` and ``scattered_in`` of the first operation and ``scattered_out`` of the
            last.
        residents: of each operation with resident weights, the block that holds them and the
            bytes that are read of it.
        segment: the epochs of a depth-first segment; None for a single one.
    """

    span: Span
    choices: tuple[Choice, ...]
    demands: tuple[Demand, ...]
    total: Demand
    residents: tuple[tuple[str, int], ...] = ()
    segment: SegmentEpochs | None = None

    @property
    def members(self) -> tuple[Epoch, ...]:
        """The epochs of a segment, in the order in which a stripe passes through them, or itself."""
        return (self,) if self.segment is None else self.segment.members

    @property
    def first(self) -> int:
        return self.span.first

    @property
    def last(self) -> int:
        return self.span.last

    @property
    def software(self) -> bool:
        return self.span.software


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows of a map that a segment holds in memory.

    Args:
        name: of the map.
        size_bytes: of the most rows at one time.
        first: number of the first member that uses them.
        last: number of the last one.
    """

    name: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SegmentEpochs:
    """The inside of a depth-first segment.

    Args:
        members: its epochs; each runs once for every stripe, but the last one with ``halo`` as
            ``recompute``, which puts the stripes of the output together.
        rows: what is in memory between them.
        stripes: number of them.
        halo: how the rows around a stripe come.
    """

    members: tuple[Epoch, ...]
    rows: tuple[HeldRows, ...]
    stripes: int
    halo: str


def resident_name(operation: str) -> str:
    """Name of the block with the resident weights of an operation."""
    return f"resident weights of {operation}"


def make_span(graph: OperationGraph, first: int, last: int) -> Span:
    """Makes the span of consecutive operations, from the first to the last position."""
    operations = graph.operations[first : last + 1]
    inside = {operation.output for operation in operations[:-1]}
    output = graph.maps[operations[-1].output]
    inputs = []
    for operation in operations:
        for name in operation.inputs:
            if name in inside:
                continue
            size = graph.maps[name].size_bytes
            if operation.kind is OperationKind.COPY and len(operation.inputs) == 1:
                # A slice reads only what it writes.
                size = min(size, output.size_bytes)
            inputs.append((name, size))
    is_software = operations[0].kind is OperationKind.SOFTWARE
    return Span(
        first=first,
        last=last,
        names=tuple(operation.name for operation in operations),
        inputs=tuple(inputs),
        output=output.name,
        output_bytes=output.size_bytes,
        further=tuple(
            (name, graph.maps[name].size_bytes) for name in operations[-1].further_outputs
        ),
        scattered_out=float(output.elements) if operations[-1].op in SCATTERED else 0.0,
        software=is_software,
        note=f"{operations[0].name} runs on the CPU: {operations[0].software_reason}"
        if is_software
        else "",
        pools=sum(operation.kind is OperationKind.POOL for operation in operations),
        arithmetics=sum(operation.kind is OperationKind.ARITHMETIC for operation in operations),
        functions=sum(
            operation.kind is OperationKind.ACTIVATION or operation.activation == "lut"
            for operation in operations
        ),
        line_bytes=_line_bytes(graph, operations),
    )


def make_epoch(span: Span, choices: tuple[Choice, ...], demands: tuple[Demand, ...]) -> Epoch:
    """Makes the epoch of a span, without checking :func:`may_join`."""
    residents = tuple(
        (resident_name(name), demand.taken)
        for name, demand in zip(span.names, demands, strict=True)
        if demand.resident
    )
    total = demands[0] if len(demands) == 1 else _sum_demands(demands)
    return Epoch(span, choices, demands, total, residents)


def _sum_demands(demands: tuple[Demand, ...]) -> Demand:
    first, last = demands[0], demands[-1]
    return Demand(
        compute=max(demand.compute for demand in demands),
        reads=first.reads,
        passes=first.passes,
        scattered_in=first.scattered_in,
        scattered_out=last.scattered_out,
        stored=sum(demand.stored for demand in demands),
        streamed=sum(demand.streamed for demand in demands),
        preloaded=sum(demand.preloaded for demand in demands),
        # Operations without preloading stream their weights while the epoch runs.
        late=sum(d.late if d.preloaded else d.streamed for d in demands),
        buffer=sum(demand.buffer for demand in demands),
        fetched=sum(demand.fetched for demand in demands),
        resident=sum(demand.resident for demand in demands),
        taken=sum(demand.taken for demand in demands),
        partial=sum(demand.partial for demand in demands),
        workspace=tuple(size for demand in demands for size in demand.workspace),
        energy=sum(demand.energy for demand in demands),
        macs=sum(demand.macs for demand in demands),
        accelerators=sum(demand.accelerators for demand in demands),
        decompressors=sum(demand.decompressors for demand in demands),
        parts=first.parts,
    )


def joinable(graph: OperationGraph, position: int) -> bool:
    """Tells whether an operation and the next one can share an epoch under some choices.

    The next one must be the only reader of its output, and both must run on streaming units.
    """
    operations = graph.operations
    if position + 1 >= len(operations):
        return False
    before, after = operations[position], operations[position + 1]
    streaming = (
        OperationKind.CONVOLUTION,
        OperationKind.POOL,
        OperationKind.ARITHMETIC,
        OperationKind.ACTIVATION,
    )
    return (
        before.kind in streaming
        and after.kind in streaming
        and before.output in after.inputs
        and graph.readers[before.output] == (position + 1,)
        and before.output not in graph.outputs
    )


def may_join(
    span: Span, choices: tuple[Choice, ...], demands: tuple[Demand, ...], units: Units
) -> bool:
    """Tells whether a span can run as one epoch with the units there are.

    Data streams through joined operations: only the first may read its input more than once,
    none may be split into parts, and windows behind the first need rows in the line buffer.
    """
    accelerators = decompressors = 0
    streams = 1
    for choice, demand in zip(choices, demands, strict=True):
        if choice.parts > 1 or choice.unit == DIMC:
            return False
        accelerators += demand.accelerators
        decompressors += demand.decompressors
        streams += max(1, 2 * demand.accelerators)
    return (
        accelerators <= units.accelerators
        and decompressors <= units.decompressors
        and streams <= units.stream_engines
        and span.pools <= units.pools
        and span.arithmetics <= units.arithmetics
        and span.functions <= units.activations
        and span.line_bytes <= units.line_buffer_bytes
        and all(demand.passes <= 1 for demand in demands[1:])
    )


def _line_bytes(graph: OperationGraph, operations: tuple[Operation, ...]) -> int:
    """Bytes of the rows that windows behind the first operation hold at one time."""
    total = 0
    for operation in operations[1:]:
        is_window = operation.kind is OperationKind.CONVOLUTION or (
            operation.kind is OperationKind.POOL and not operation.global_pool
        )
        if is_window:
            source = graph.maps[operation.inputs[0]]
            rows = (operation.kernel[0] - 1) * operation.dilation[0]
            total += rows * source.width * source.channels
    return total
