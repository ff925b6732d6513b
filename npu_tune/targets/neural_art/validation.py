"""The compiler model against the vendor compiler's own estimates of single epochs.

Each epoch of a report is described by its shapes alone, built as a graph and run through the
scheduler and the machine under the vendor's rule, in memory that is never short.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.placement import PING_PONG
from npu_tune.targets.neural_art.compiler.rule import VENDOR, cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler, Settings
from npu_tune.targets.neural_art.compiler.work import shape_of
from npu_tune.targets.neural_art.graph import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
    Weights,
)
from npu_tune.targets.neural_art.hardware import Hardware, MemoryPool
from npu_tune.targets.neural_art.knobs import default_accelerators
from npu_tune.targets.neural_art.orders import LOAD

Sizes = tuple[int, int, int]
"""Channels, rows and columns."""

_ROOM_BYTES = 1 << 30
_CONVOLUTION = "convolution"


@dataclass(frozen=True, slots=True)
class ReportedEpoch:
    """A hardware epoch as the vendor compiler's report states it.

    Args:
        number: in order of execution.
        nodes: operations that are chained.
        weights: kernels, input channels, rows and columns; empty without a convolution. Depthwise
            kernels of stride two are stored twice, as two input channels.
        inputs: of the convolution or whatever else is computed, then a map that is added.
        output: what is written.
        accelerators: convolution accelerators in use.
        compute_cycles: of the units.
        max_cycles: of the epoch.
    """

    number: int
    nodes: tuple[str, ...]
    weights: tuple[int, ...]
    inputs: tuple[Sizes, ...]
    output: Sizes
    accelerators: int
    compute_cycles: float
    max_cycles: float


@dataclass(frozen=True, slots=True)
class EpochEstimate:
    """The same epoch in this model.

    Args:
        accelerators: that computed it.
        compute_cycles: of the units.
        max_cycles: of the epoch.
        default_accelerators: what the model would have taken by default.
    """

    accelerators: int
    compute_cycles: float
    max_cycles: float
    default_accelerators: int


def reported_epochs(path: Path) -> tuple[ReportedEpoch, ...]:
    """The hardware epochs of a table of the vendor compiler's estimates.

    Args:
        path: a CSV file as ``studies/neural-art/data/README.md`` describes it.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["mapping"] == "hardware"]
    return tuple(_reported(row) for row in rows)


def epoch_graph(reported: ReportedEpoch) -> OperationGraph:
    """The graph that holds just this epoch, made from its shapes."""
    maps = [FeatureMap(f"input {i}", *sizes) for i, sizes in enumerate(reported.inputs)]
    output = FeatureMap("output", *reported.output)
    if not reported.weights:
        return _graph(reported, [_without_weights(reported)], [maps[0], output])
    convolution = _convolution(reported)
    if len(maps) == 1:
        return _graph(reported, [convolution], [maps[0], output])
    before = replace(output, name="before addition")
    addition = Operation(
        "addition", "Add", OperationKind.ARITHMETIC, (before.name, maps[1].name), output.name
    )
    operations = [replace(convolution, output=before.name), addition]
    return _graph(reported, operations, [*maps, before, output])


def estimate_epoch(
    reported: ReportedEpoch, hardware: Hardware, *, accelerators: int | None = None
) -> EpochEstimate:
    """What the model estimates for a reported epoch under the vendor's rule.

    Args:
        reported: described by its shapes.
        hardware: whose first pool, made large enough, holds every map.
        accelerators: how many compute it; as many as reported if None.
    """
    graph = epoch_graph(reported)
    used = reported.accelerators if accelerators is None else accelerators
    roomy = _roomy(hardware)
    scheduler = Scheduler(
        graph,
        roomy,
        cost_rule(VENDOR, roomy),
        Settings(PING_PONG, virtual_pools=False, split_threshold=0.0, external_ram=False),
    )
    choice = Choice(accelerators=max(used, 1), chain=True)
    (step,) = scheduler.run(scheduler.resolve([choice] * len(graph.operations))).steps
    first = graph.operations[0]
    has_weights = first.kind is OperationKind.CONVOLUTION
    return EpochEstimate(
        accelerators=sum(demand.accelerators for demand in step.epoch.demands),
        compute_cycles=step.costs.compute_cycles,
        max_cycles=step.cycles,
        default_accelerators=default_accelerators(shape_of(first, graph), hardware)
        if has_weights
        else 0,
    )


def _reported(row: dict[str, str]) -> ReportedEpoch:
    units = int(row["n_conv_units"])
    inputs = [_sizes(text) for text in row["input_shapes"].split(";")]
    return ReportedEpoch(
        number=int(row["epoch"]),
        nodes=tuple(row["node_kinds"].split(";")),
        weights=_numbers(row["weights_shape"].split(";")[0]),
        # Each unit of a convolution names its input, the same map.
        inputs=(inputs[0], *inputs[max(units, 1) :]),
        output=_sizes(row["output_shapes"].split(";")[0]),
        accelerators=units,
        compute_cycles=float(row["compute_cycles"]),
        max_cycles=float(row["max_cycles"]),
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("x")) if text else ()


def _sizes(text: str) -> Sizes:
    _, channels, rows, columns = _numbers(text)
    return channels, rows, columns


def _without_weights(reported: ReportedEpoch) -> Operation:
    names = ("input 0",), "output"
    if "AveragePool" in reported.nodes:
        _, rows, columns = reported.inputs[0]
        return Operation(
            "pool",
            "AveragePool",
            OperationKind.POOL,
            *names,
            kernel=(rows, columns),
            global_pool=True,
        )
    return Operation("load", LOAD, OperationKind.COPY, *names)


def _convolution(reported: ReportedEpoch) -> Operation:
    kernels, depth, *taps = reported.weights
    channels, rows, columns = reported.inputs[0]
    _, rows_out, columns_out = reported.output
    is_depthwise = depth < channels
    window = (taps[0], taps[1])
    elements = kernels * (1 if is_depthwise else depth) * taps[0] * taps[1]
    return Operation(
        _CONVOLUTION,
        "Conv",
        OperationKind.CONVOLUTION,
        ("input 0",),
        "output",
        macs=elements * rows_out * columns_out,
        groups=channels if is_depthwise else 1,
        kernel=window,
        stride=(rows // rows_out, columns // columns_out),
        weights=Weights(elements, kernels),
    )


def _graph(
    reported: ReportedEpoch, operations: list[Operation], maps: list[FeatureMap]
) -> OperationGraph:
    inputs = tuple(m.name for m in maps if m.name.startswith("input"))
    return OperationGraph(
        f"epoch {reported.number}",
        tuple(operations),
        {feature_map.name: feature_map for feature_map in maps},
        inputs,
        ("output",),
    )


def _roomy(hardware: Hardware) -> Hardware:
    """The hardware with nothing but its first pool and flash, both never short."""
    first: MemoryPool = hardware.internal[0]
    room = replace(first, base=0, size_bytes=_ROOM_BYTES)
    return replace(hardware, pools=(room, replace(hardware.flash, base=_ROOM_BYTES)))
