"""The demand of one operation under one choice."""

from __future__ import annotations

from math import ceil

from npu_tune.targets.neural_art.compiler.accelerator import (
    Shape,
    convolution_cycles,
    table_cycles,
    unit_cycles,
)
from npu_tune.targets.neural_art.compiler.choice import (
    DIMC,
    INPUT_CHANNELS,
    KERNELS,
    PRELOAD,
    RESIDENT,
    STRIPES,
    Choice,
)
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.rows import WHOLE, Cut
from npu_tune.targets.neural_art.compiler.sums import partial_sums
from npu_tune.targets.neural_art.compiler.tiles import tile_demand
from npu_tune.targets.neural_art.compiler.weights import (
    stored_weight_bytes,
    streamed_weight_bytes,
)
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Hardware

FLOAT_BYTES = 4
"""Of an element of the one float copy that an operation on the CPU holds. With it the model has the RAM
that ST publishes for EfficientNet v2 at version 3.0 of its compiler, 1911.56 KiB, to 1 KiB."""

CPU_CYCLES_PER_MAC = 1
"""Of a multiply-accumulate on the CPU. An own choice: Arm states up to eight products of 8 bits a
cycle for the vector unit of a Cortex-M55, and a loop without it takes about three cycles for two
loads and a multiply-accumulate."""


def shape_of(operation: Operation, graph: OperationGraph) -> Shape:
    """The sizes of an operation that its cycles depend on."""
    maps = [graph.maps[name] for name in operation.inputs]
    output = graph.maps[operation.output]
    return Shape(
        kind=operation.kind,
        channels_in=_channels_in(operation, graph),
        channels_out=output.channels,
        rows_out=output.height,
        pixels_out=output.height * output.width,
        elements_in=output.elements * len(maps)
        if operation.in_float
        else sum(feature_map.elements for feature_map in maps),
        groups=operation.groups,
        taps=operation.kernel,
        stride=max(operation.stride),
        weights=operation.weights.elements if operation.weights else 0,
        rows_in=maps[0].height,
        input_bytes=maps[0].size_bytes,
        weight_bits=operation.weights.bits if operation.weights else 8,
        further_elements=sum(graph.maps[name].elements for name in operation.further_outputs),
    )


def _channels_in(operation: Operation, graph: OperationGraph) -> int:
    """Input channels; for a fully connected layer all elements of the map it reads."""
    if operation.kind is not OperationKind.CONVOLUTION or operation.weights is None:
        return graph.maps[operation.inputs[0]].channels
    taps = operation.kernel[0] * operation.kernel[1]
    channels_out = graph.maps[operation.output].channels
    return operation.weights.elements * operation.groups // (taps * channels_out)


def demand_of(
    operation: Operation,
    shape: Shape,
    choice: Choice,
    hardware: Hardware,
    *,
    free_tiles: int = 0,
    cut: Cut = WHOLE,
) -> Demand:
    """Computes the demand of one operation under an effective choice.

    Args:
        operation: the operation.
        shape: of the operation.
        choice: effective, see :func:`~.choice.effective_choice`.
        hardware: gives the units.
        free_tiles: number of tiles without resident weights.
        cut: what of it the stripes of a depth-first segment compute; tiles know no stripes.
    """
    if operation.kind is OperationKind.SOFTWARE:
        return _software_demand(operation, shape, hardware)
    if operation.kind is not OperationKind.CONVOLUTION:
        is_pool = operation.kind is OperationKind.POOL
        cycles = unit_cycles(shape) * (cut.read if is_pool else cut.computed)
        constants = stored_weight_bytes(operation, shape, bits=shape.weight_bits)
        return Demand(
            cycles,
            reads=cut.read,
            passes=cut.read / cut.made,
            stored=constants,
            streamed=constants * cut.stripes,
            energy=cycles * hardware.energy.element,
            parts=cut.stripes,
        )
    if choice.unit == DIMC and hardware.dimc is not None:
        tiles = tile_demand(operation, shape, choice, hardware.dimc, free_tiles)
        # A function by table runs on the accelerator's own units, behind tiles too.
        by_table = table_cycles(operation, shape, hardware.units.activations)
        return tiles._replace(compute=tiles.compute + by_table)
    return _accelerator_demand(operation, shape, choice, hardware, cut)


def _software_demand(operation: Operation, shape: Shape, hardware: Hardware) -> Demand:
    """What the CPU does: it touches every element once, and multiplies.

    An operator that multiplies reads all of its constants; any other one, such as a look-up,
    reads no more of them than it writes.
    """
    elements = shape.elements_in + shape.elements_out + shape.further_elements
    cpu_cycles = elements * hardware.cpu_cycles_per_element + operation.macs * CPU_CYCLES_PER_MAC
    constants = operation.constant_bytes
    most = constants if operation.macs else shape.elements_out + shape.further_elements
    return Demand(
        cpu_cycles * hardware.clock_mhz / hardware.cpu_clock_mhz,
        stored=constants,
        streamed=min(constants, most),
        workspace=(FLOAT_BYTES * shape.elements_out,) if operation.in_float else (),
        energy=cpu_cycles * hardware.energy.cpu_cycle,
        macs=operation.macs,
    )


def _accelerator_demand(
    operation: Operation, shape: Shape, choice: Choice, hardware: Hardware, cut: Cut
) -> Demand:
    units = hardware.units
    if cut is not WHOLE:
        choice = choice._replace(parts=cut.stripes, parts_over=STRIPES)
    compute = convolution_cycles(
        shape,
        choice.accelerators,
        choice.parallel_over,
        units.macs_per_cycle,
        stripes=choice.parts if choice.parts_over == STRIPES else 1,
        computed=cut.computed,
    )
    writers = 1 if choice.parallel_over == INPUT_CHANNELS else choice.accelerators
    compute += table_cycles(operation, shape, min(units.activations, writers)) * cut.computed
    stored = stored_weight_bytes(
        operation, shape, bits=choice.weight_bits, compressed=choice.weight_compression
    )
    streamed = streamed_weight_bytes(stored, shape)
    plain = shape.weights * choice.weight_bits / 8
    reads, repeats = _traffic(operation, shape, choice, hardware, cut)
    reads *= shape.rounds
    decompressors = 0
    if choice.weight_compression:
        decompressors = min(units.decompressors, choice.accelerators)
        compute = max(compute, plain * repeats / decompressors)
    partial, workspace = partial_sums(shape, choice, share=None if cut is WHOLE else cut.most)
    preloaded, late, buffer = _preloading(choice, streamed)
    is_resident = choice.weights == RESIDENT
    scattered = shape.is_depthwise
    return Demand(
        compute=compute,
        reads=reads,
        passes=reads / cut.made,
        scattered_in=shape.elements_in * shape.window_passes * cut.read / writers
        if scattered
        else 0.0,
        scattered_out=shape.elements_out * cut.computed / writers
        if scattered and shape.stride == 1
        else 0.0,
        stored=stored,
        streamed=0 if is_resident else streamed * repeats,
        preloaded=preloaded,
        late=late,
        buffer=buffer,
        fetched=streamed * repeats if preloaded else 0,
        resident=streamed if is_resident else 0,
        taken=streamed * repeats if is_resident else 0,
        partial=round(partial * cut.computed),
        workspace=workspace,
        energy=operation.macs * hardware.energy.mac * cut.computed,
        macs=round(operation.macs * cut.computed),
        accelerators=choice.accelerators,
        decompressors=decompressors,
        parts=choice.parts,
    )


def _traffic(
    operation: Operation,
    shape: Shape,
    choice: Choice,
    hardware: Hardware,
    cut: Cut,
) -> tuple[float, int]:
    """The number of times that the input is read, and that the weights are streamed.

    The stationary operand is held in the accelerators' buffers; if it does not fit, the other one
    is streamed once per buffer full.
    """
    units, parts = hardware.units, choice.parts
    cut_rows = choice.parts_over == STRIPES and parts > 1
    stripes = parts if cut_rows else 1
    pieces = stripes * (choice.accelerators if choice.parallel_over == STRIPES else 1)
    halo = _halo(operation, shape, pieces)
    if cut is not WHOLE:
        # The rows around the segment's own stripes are known; what accelerators read more is not.
        halo = cut.read + (halo - _halo(operation, shape, stripes))
    again = parts if choice.parts_over == KERNELS else 1
    if choice.stationarity == "kernel":
        sharing = 1 if choice.parallel_over == STRIPES else choice.accelerators
        held = shape.weights * choice.weight_bits / 8 / sharing / (1 if cut_rows else parts)
        passes = max(1, ceil(held / units.kernel_buffer_bytes))
        return halo * again * passes, stripes
    sharing = 1 if choice.parallel_over == KERNELS else choice.accelerators
    held = shape.input_bytes * cut.read / sharing / (1 if choice.parts_over == KERNELS else parts)
    tiles = max(1, ceil(held / units.feature_buffer_bytes))
    return halo * again, tiles * stripes


def _halo(operation: Operation, shape: Shape, pieces: int) -> float:
    """Rows read / rows of the input, if the output is split into stripes."""
    if pieces == 1:
        return 1.0
    window = (operation.kernel[0] - 1) * operation.dilation[0] + 1
    return 1.0 + (pieces - 1) * max(0, window - operation.stride[0]) / shape.rows_in


def _preloading(choice: Choice, streamed: int) -> tuple[int, int, int]:
    """Bytes from flash before the epoch, bytes during it, and bytes of RAM for them.

    If the parts of an operation have weights of their own, only those of the first part must be
    loaded at the start; the next ones arrive in a second buffer while a part computes.
    """
    if choice.weights != PRELOAD:
        return 0, 0, 0
    if choice.parts == 1 or choice.parts_over == STRIPES:
        return streamed, 0, streamed
    first = ceil(streamed / choice.parts)
    return first, streamed - first, min(streamed, 2 * first)
