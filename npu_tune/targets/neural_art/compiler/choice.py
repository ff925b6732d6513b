"""What is chosen for one operation, and what of it has an effect."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.graph import OperationKind
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


NEUTRAL = Choice()


def effective_choice(
    choice: Choice, shape: Shape, shares: Mapping[str, int], hardware: Hardware
) -> Choice:
    """The same choice with what has no effect at its neutral value.

    Counts that exceed what there is to share are brought down to it.

    Args:
        choice: as it was asked for.
        shape: of the operation.
        shares: of the operation, see :func:`shares_of`.
        hardware: gives the units.
    """
    if shape.kind is not OperationKind.CONVOLUTION:
        return NEUTRAL._replace(chain=choice.chain, output_pool=choice.output_pool)
    if choice.unit == DIMC and hardware.dimc is not None:
        return NEUTRAL._replace(
            weight_bits=choice.weight_bits,
            output_pool=choice.output_pool,
            unit=DIMC,
            dimc_residency=choice.dimc_residency,
            dimc_copies=choice.dimc_copies,
        )
    accelerators = min(
        choice.accelerators, hardware.units.accelerators, shares[choice.parallel_over]
    )
    parts = 2 ** (min(choice.parts, shares[choice.parts_over]).bit_length() - 1)
    return Choice(
        accelerators,
        choice.parallel_over if accelerators > 1 else INPUT_CHANNELS,
        parts,
        choice.parts_over if parts > 1 else KERNELS,
        choice.chain and parts == 1,
        choice.stationarity,
        choice.weight_bits,
        choice.weight_compression and hardware.units.decompressors > 0,
        choice.weights,
        choice.output_pool,
    )


def shares_of(shape: Shape) -> dict[str, int]:
    """How many ways a convolution can be cut along each of :data:`SPLITS`: no share is empty.

    Windows take eight input channels at a time (see :mod:`.accelerator`), so fewer than that
    are not cut, and the input channels of a grouped convolution stay together.
    """
    channels = shape.channels_in if shape.taps == (1, 1) else ceil(shape.channels_in / 8)
    return {
        INPUT_CHANNELS: channels if shape.groups == 1 else 1,
        KERNELS: shape.channels_out,
        STRIPES: shape.rows_out,
    }
