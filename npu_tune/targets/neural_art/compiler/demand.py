"""The demands of one operation on the hardware under one choice, before placement."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

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
from npu_tune.targets.neural_art.compiler.sums import partial_sums
from npu_tune.targets.neural_art.compiler.weights import (
    stored_weight_bytes,
    streamed_weight_bytes,
)
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Dimc, Hardware

FLOAT_BYTES = 4
"""Of an element of the one float copy that an operation on the CPU holds. With it the model has the RAM
that ST publishes for EfficientNet v2 at version 3.0 of its compiler, 1911.56 KiB, to 1 KiB."""

CPU_CYCLES_PER_MAC = 1
"""Of a multiply-accumulate on the CPU. An own choice: Arm states up to eight products of 8 bits a
cycle for the vector unit of a Cortex-M55, and a loop without it takes about three cycles for two
loads and a multiply-accumulate."""


class Demand(NamedTuple):
    """What an operation demands, in NPU cycles before the rule's factors and bytes per inference.

    Args:
        compute: cycles of the units.
        reads: number of times that the input is read.
        scattered_in: elements of the input that one stream engine reads one by one.
        scattered_out: elements of the output that one stream engine writes one by one.
        stored: bytes of weights in flash.
        streamed: bytes of weights from flash while the operation runs, without preloading.
        preloaded: bytes from flash during the epoch before; 0 without preloading.
        late: with preloading, bytes from flash while the operation runs.
        buffer: bytes of RAM for preloaded weights.
        fetched: with preloading, bytes of weights read from RAM.
        partial: bytes of partial sums, written and read together.
        workspace: bytes of RAM of each block that is needed meanwhile: of partial sums and, where
            a window takes several rounds, of what one round adds to them.
        serial: bytes from flash that overlap with nothing (weights reloaded into tiles).
        serial_cycles: of writing tiles, while flash streams.
        energy: relative, of the units.
        macs: multiply-accumulates.
        accelerators: units used.
        decompressors: units used.
        parts: number of epochs.
    """

    compute: float
    reads: float = 1.0
    scattered_in: float = 0.0
    scattered_out: float = 0.0
    stored: int = 0
    streamed: int = 0
    preloaded: int = 0
    late: int = 0
    buffer: int = 0
    fetched: int = 0
    partial: int = 0
    workspace: tuple[int, ...] = ()
    serial: int = 0
    serial_cycles: float = 0.0
    energy: float = 0.0
    macs: int = 0
    accelerators: int = 0
    decompressors: int = 0
    parts: int = 1


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
) -> Demand:
    """Computes the demand of one operation under an effective choice.

    Args:
        operation: the operation.
        shape: of the operation.
        choice: effective, see :func:`~.choice.effective_choice`.
        hardware: gives the units.
        free_tiles: number of tiles without resident weights.
    """
    if operation.kind is OperationKind.SOFTWARE:
        return _software_demand(operation, shape, hardware)
    if operation.kind is not OperationKind.CONVOLUTION:
        cycles = unit_cycles(shape)
        constants = stored_weight_bytes(operation, shape, bits=shape.weight_bits)
        return Demand(
            cycles,
            stored=constants,
            streamed=constants,
            energy=cycles * hardware.energy.element,
        )
    if choice.unit == DIMC and hardware.dimc is not None:
        tiles = _tile_demand(operation, shape, choice, hardware.dimc, free_tiles)
        # A function by table runs on the accelerator's own units, behind tiles too.
        by_table = table_cycles(operation, shape, hardware.units.activations)
        return tiles._replace(compute=tiles.compute + by_table)
    return _accelerator_demand(operation, shape, choice, hardware)


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
    operation: Operation, shape: Shape, choice: Choice, hardware: Hardware
) -> Demand:
    units = hardware.units
    compute = convolution_cycles(
        shape, choice.accelerators, choice.parallel_over, units.macs_per_cycle
    )
    writers = 1 if choice.parallel_over == INPUT_CHANNELS else choice.accelerators
    compute += table_cycles(operation, shape, min(units.activations, writers))
    stored = stored_weight_bytes(
        operation, shape, bits=choice.weight_bits, compressed=choice.weight_compression
    )
    streamed = streamed_weight_bytes(stored, shape)
    plain = shape.weights * choice.weight_bits / 8
    reads, repeats = _traffic(operation, shape, choice, plain, hardware)
    decompressors = 0
    if choice.weight_compression:
        decompressors = min(units.decompressors, choice.accelerators)
        compute = max(compute, plain * repeats / decompressors)
    partial, workspace = partial_sums(shape, choice)
    preloaded, late, buffer = _preloading(choice, streamed)
    return Demand(
        compute=compute,
        reads=reads * shape.rounds,
        scattered_in=shape.elements_in * shape.window_passes / writers
        if shape.is_depthwise
        else 0.0,
        scattered_out=shape.elements_out / writers
        if shape.is_depthwise and shape.stride == 1
        else 0.0,
        stored=stored,
        streamed=streamed * repeats,
        preloaded=preloaded,
        late=late,
        buffer=buffer,
        fetched=streamed * repeats if preloaded else 0,
        partial=partial,
        workspace=workspace,
        energy=operation.macs * hardware.energy.mac,
        macs=operation.macs,
        accelerators=choice.accelerators,
        decompressors=decompressors,
        parts=choice.parts,
    )


def _traffic(
    operation: Operation, shape: Shape, choice: Choice, weight_bytes: float, hardware: Hardware
) -> tuple[float, int]:
    """The number of times that the input is read, and that the weights are streamed.

    The stationary operand is held in the accelerators' buffers; if it does not fit, the other one
    is streamed once per buffer full.
    """
    units, parts = hardware.units, choice.parts
    cut_rows = choice.parts_over == STRIPES and parts > 1
    pieces = (parts if cut_rows else 1) * (
        choice.accelerators if choice.parallel_over == STRIPES else 1
    )
    halo = _halo(operation, shape, pieces)
    again = parts if choice.parts_over == KERNELS else 1
    if choice.stationarity == "kernel":
        sharing = 1 if choice.parallel_over == STRIPES else choice.accelerators
        held = weight_bytes / sharing / (1 if cut_rows else parts)
        passes = max(1, ceil(held / units.kernel_buffer_bytes))
        return halo * again * passes, parts if cut_rows else 1
    sharing = 1 if choice.parallel_over == KERNELS else choice.accelerators
    held = shape.input_bytes / sharing / (1 if choice.parts_over == KERNELS else parts)
    tiles = max(1, ceil(held / units.feature_buffer_bytes))
    return halo * again, tiles * (parts if cut_rows else 1)


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


def tiles_needed(operation: Operation, shape: Shape, choice: Choice, dimc: Dimc) -> int:
    """Number of tiles that hold one copy of the weights."""
    taps = operation.kernel[0] * operation.kernel[1]
    columns = dimc.columns * 8 // choice.weight_bits
    return ceil(shape.channels_in * taps / dimc.rows) * ceil(shape.channels_out / columns)


def _tile_demand(
    operation: Operation, shape: Shape, choice: Choice, dimc: Dimc, free_tiles: int
) -> Demand:
    """In-memory computing: every pass multiplies one pixel with all weights in the tiles."""
    needed = tiles_needed(operation, shape, choice, dimc)
    resident = choice.dimc_residency == RESIDENT
    passes = 1 if resident else ceil(needed * choice.dimc_copies / max(1, free_tiles))
    pixels = ceil(shape.pixels_out / choice.dimc_copies)
    stored = stored_weight_bytes(operation, shape, bits=choice.weight_bits)
    loaded = 0 if resident else streamed_weight_bytes(stored, shape)
    return Demand(
        compute=float(pixels * passes * dimc.cycles_per_pass),
        reads=float(passes),
        stored=stored,
        serial=loaded,
        serial_cycles=loaded * choice.dimc_copies / dimc.load_bytes_per_cycle,
        energy=operation.macs * dimc.mac_power,
        macs=operation.macs,
    )
