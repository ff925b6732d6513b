"""Epochs: operations that run together, with everything their cost needs except addresses."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.targets.neural_art.compiler.choice import DIMC, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.graph import Graph, Kind, Operation
from npu_tune.targets.neural_art.hardware import Hardware

SCATTERED = frozenset({"Load", "Transpose", "TRANSPOSE", "Concat", "CONCATENATION"})
"""Copies that write element by element, because channels end up beside others.

ST's reports show it for the copy of the input; that concatenations cost the same fits the
latencies published for SqueezeNet."""


@dataclass(frozen=True, slots=True)
class Read:
    """A stream from RAM: the map, bytes, and elements that come one by one per engine."""

    name: str
    size_bytes: float
    scattered: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """Neighbouring operations that run together; epochs are made once and compared by identity.

    Args:
        first: position of the first operation.
        last: position of the last one.
        choices: one per operation.
        demands: one per operation.
        reads: streams from RAM.
        output: name of the map that is written.
        output_bytes: its size.
        output_prefer: kind of pool that it prefers, or ``auto``.
        scattered_out: elements written one by one, per engine.
        compute: cycles of the slowest unit, without the rule's factor.
        streamed: bytes of weights from flash where nothing is preloaded.
        preloaded: bytes from flash before the epoch starts; 0 where nothing is preloaded.
        late: with preloading, bytes from flash during the epoch.
        buffer: bytes of RAM for preloaded weights.
        fetched: with preloading, bytes of weights from RAM.
        partial: bytes of partial sums moved.
        workspace: bytes of RAM for partial sums.
        serial: bytes from flash before anything else can start.
        serial_cycles: least cycles for the same.
        energy: relative, of the units.
        parts: passes, each of which costs what an epoch costs.
        software: True where the CPU does it.
    """

    first: int
    last: int
    choices: tuple[Choice, ...]
    demands: tuple[Demand, ...]
    reads: tuple[Read, ...]
    output: str
    output_bytes: int
    output_prefer: str
    scattered_out: float
    compute: float
    streamed: int
    preloaded: int
    late: int
    buffer: int
    fetched: int
    partial: int
    workspace: int
    serial: int
    serial_cycles: float
    energy: float
    parts: int
    software: bool


def make_epoch(
    graph: Graph, first: int, choices: tuple[Choice, ...], demands: tuple[Demand, ...]
) -> Epoch:
    """The epoch of neighbouring operations; that they may be joined was checked before."""
    last = first + len(choices) - 1
    operations = graph.operations[first : last + 1]
    output = graph.maps[operations[-1].output]
    plain = [not demand.preloaded for demand in demands]
    return Epoch(
        first=first,
        last=last,
        choices=choices,
        demands=demands,
        reads=_reads(graph, operations, demands),
        output=output.name,
        output_bytes=output.size_bytes,
        output_prefer=choices[-1].output_pool,
        scattered_out=float(output.elements)
        if operations[-1].op in SCATTERED
        else demands[-1].scattered_out,
        compute=max(demand.compute for demand in demands),
        streamed=sum(demand.streamed for demand in demands),
        preloaded=sum(demand.preloaded for demand in demands),
        late=sum(d.streamed if bare else d.late for d, bare in zip(demands, plain, strict=True)),
        buffer=sum(demand.buffer for demand in demands),
        fetched=sum(demand.fetched for demand in demands),
        partial=sum(demand.partial for demand in demands),
        workspace=sum(demand.workspace for demand in demands),
        serial=sum(demand.serial for demand in demands),
        serial_cycles=sum(demand.serial_cycles for demand in demands),
        energy=sum(demand.energy for demand in demands),
        parts=max(demand.parts for demand in demands),
        software=operations[0].kind is Kind.SOFTWARE,
    )


def _reads(
    graph: Graph, operations: tuple[Operation, ...], demands: tuple[Demand, ...]
) -> tuple[Read, ...]:
    inside = {operation.output for operation in operations}
    reads = []
    for operation, demand in zip(operations, demands, strict=True):
        for position, name in enumerate(operation.inputs):
            if name in inside:
                continue
            size = graph.maps[name].size_bytes
            if operation.kind is Kind.COPY and len(operation.inputs) == 1:
                # A slice reads no more than it writes.
                size = min(size, graph.maps[operation.output].size_bytes)
            times = demand.reads if position == 0 else 1.0
            scattered = demand.scattered_in if position == 0 else 0.0
            reads.append(Read(name, size * times, scattered))
    return tuple(reads)


def joinable(graph: Graph, position: int) -> bool:
    """Whether the operation after this one could share its epoch, choices permitting.

    It must be the only one that reads what this one writes, and both must run on units that
    data stream through.
    """
    operations = graph.operations
    if position + 1 >= len(operations):
        return False
    before, after = operations[position], operations[position + 1]
    streaming = (Kind.CONVOLUTION, Kind.POOL, Kind.ARITHMETIC, Kind.ACTIVATION)
    return (
        before.kind in streaming
        and after.kind in streaming
        and before.output in after.inputs
        and graph.readers[before.output] == (position + 1,)
        and before.output not in graph.outputs
    )


def may_join(
    graph: Graph,
    hardware: Hardware,
    first: int,
    choices: tuple[Choice, ...],
    demands: tuple[Demand, ...],
) -> bool:
    """Whether the units suffice for a run of operations in one epoch.

    Joined operations stream: none but the first may read its input more than once, none may be
    cut into parts, and windows behind the first operation need rows in the line buffer.
    """
    units = hardware.units
    operations = graph.operations[first : first + len(choices)]
    if any(choice.parts > 1 or choice.unit == DIMC for choice in choices):
        return False
    if any(demand.reads > 1 for demand in demands[1:]):
        return False
    rows = sum(
        (op.kernel[0] - 1) * op.dilation[0] * graph.maps[name].width * graph.maps[name].channels
        for op in operations[1:]
        for name in op.inputs[:1]
        if op.kind is Kind.CONVOLUTION or (op.kind is Kind.POOL and not op.global_pool)
    )
    kinds = [operation.kind for operation in operations]
    accelerators = sum(demand.accelerators for demand in demands)
    functions = sum(op.kind is Kind.ACTIVATION or op.activation == "lut" for op in operations)
    streams = sum(max(1, 2 * demand.accelerators) for demand in demands) + 1
    return (
        accelerators <= units.accelerators
        and sum(demand.decompressors for demand in demands) <= units.decompressors
        and kinds.count(Kind.POOL) <= units.pools
        and kinds.count(Kind.ARITHMETIC) <= units.arithmetics
        and functions <= units.activations
        and rows <= units.line_buffer_bytes
        and streams <= units.stream_engines
    )
