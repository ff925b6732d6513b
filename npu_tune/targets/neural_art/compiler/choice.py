"""What is chosen for one operation, and what of it has an effect."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from npu_tune.targets.neural_art.graph import Graph, Kind, Operation
from npu_tune.targets.neural_art.hardware import Hardware

INPUT_CHANNELS = "input_channels"
KERNELS = "kernels"
STRIPES = "stripes"
SPLITS = (INPUT_CHANNELS, KERNELS, STRIPES)

STREAM = "stream"
PRELOAD = "preload"

ACCELERATOR = "accelerator"
DIMC = "dimc"
RESIDENT = "resident"
RELOAD = "reload"


class Choice(NamedTuple):
    """Every per-layer knob of an operation; the defaults are what has no effect.

    Args:
        accelerators: convolution accelerators that share the work.
        parallel_over: what they share: input channels, kernels or stripes.
        parts: epochs that the operation is cut into, one after the other; a power of two.
        parts_over: along what it is cut.
        chain: join the next operation in the same epoch.
        stationarity: ``kernel``: weights stay in the accelerators and feature maps stream past,
            once for every buffer full of weights; ``feature``: the other way round.
        weight_bits: 8 or 4.
        weight_compression: weights are stored compressed.
        weights: ``stream`` from flash while computing, or ``preload`` into RAM during the epoch
            before.
        output_pool: kind of the pool that the output goes to if it fits, or ``auto``.
        unit: ``accelerator`` or ``dimc``.
        dimc_residency: ``resident`` weights stay in the tiles for good; ``reload`` writes them
            for every inference.
        dimc_copies: so many tiles hold the same weights and share the pixels.
    """

    accelerators: int = 1
    parallel_over: str = INPUT_CHANNELS
    parts: int = 1
    parts_over: str = KERNELS
    chain: bool = False
    stationarity: str = "kernel"
    weight_bits: int = 8
    weight_compression: bool = False
    weights: str = STREAM
    output_pool: str = "auto"
    unit: str = ACCELERATOR
    dimc_residency: str = RESIDENT
    dimc_copies: int = 1


def choice_of(values: Mapping[str, Any]) -> Choice:
    """The choice that an operation's knob values state; knobs it does not have stay neutral."""
    return Choice(**values)


def effective_choice(
    choice: Choice, operation: Operation, graph: Graph, hardware: Hardware
) -> Choice:
    """The same choice with what has no effect at its neutral value.

    Counts that exceed what there is to share are brought down to it.
    """
    if operation.kind is not Kind.CONVOLUTION:
        return Choice(chain=choice.chain, output_pool=choice.output_pool)
    if choice.unit == DIMC and hardware.dimc is not None:
        return Choice(
            chain=False,
            weight_bits=choice.weight_bits,
            output_pool=choice.output_pool,
            unit=DIMC,
            dimc_residency=choice.dimc_residency,
            dimc_copies=choice.dimc_copies,
        )
    accelerators = min(
        choice.accelerators,
        hardware.units.accelerators,
        most_shares(operation, graph, choice.parallel_over),
    )
    most = min(choice.parts, most_shares(operation, graph, choice.parts_over))
    parts = 2 ** (most.bit_length() - 1)
    return choice._replace(
        accelerators=accelerators,
        parallel_over=choice.parallel_over if accelerators > 1 else INPUT_CHANNELS,
        parts=parts,
        parts_over=choice.parts_over if parts > 1 else KERNELS,
        chain=choice.chain and parts == 1,
        unit=ACCELERATOR,
        dimc_residency=RESIDENT,
        dimc_copies=1,
    )


def most_shares(operation: Operation, graph: Graph, over: str) -> int:
    """How many ways a convolution can be cut: no share may be empty.

    Windows take eight input channels at a time (see :mod:`.accelerator`), so fewer than that
    are not cut, and the input channels of a grouped convolution stay together.
    """
    output = graph.maps[operation.output]
    if over == KERNELS:
        return output.channels
    if over == STRIPES:
        return output.height
    if operation.groups > 1:
        return 1
    channels = graph.maps[operation.inputs[0]].channels
    return channels if operation.kernel == (1, 1) else ceil(channels / 8)
