"""The per-layer choices of one operation, and their effective form."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.compiler.rows import KEEP
from npu_tune.targets.neural_art.graph import OperationKind
from npu_tune.targets.neural_art.hardware import Hardware

INPUT_CHANNELS = "input_channels"
KERNELS = "kernels"
STRIPES = "stripes"
SPLITS = (INPUT_CHANNELS, KERNELS, STRIPES)

STREAM = "stream"
PRELOAD = "preload"

RESIDENT = "resident"

ACCELERATOR = "accelerator"
DIMC = "dimc"
RELOAD = "reload"


FEWEST_STRIPES = 2


class Choice(NamedTuple):
    """The values of all per-layer knobs of an operation; the defaults are neutral.

    Args:
        accelerators: number of convolution accelerators that share the work.
        parallel_over: the dimension they split: input channels, kernels or stripes.
        parts: number of sequential epochs that the operation is split into; a power of two.
        parts_over: the dimension along which it is split into parts.
        chain: run the next operation in the same epoch.
        stationarity: ``kernel``: weights stay in the accelerators' buffers and feature maps
            stream through, once per buffer full of weights; ``feature``: the other way round.
        weight_bits: 8 or 4; the width that the file has, if that is another one than 8.
        weight_compression: weights are stored compressed.
        weights: ``stream`` from flash while computing, ``preload`` into RAM during the epoch
            before, or ``resident`` in RAM for good.
        weights_pool: kind of pool for resident weights; ``auto`` is any on the chip.
        depth_first: go on into the next operation stripe by stripe.
        stripes: number of stripes of a depth-first segment that starts here.
        halo: ``keep`` rows around a stripe, or ``recompute`` them, in such a segment.
        output_pool: kind of pool that is preferred for the output, or ``auto``.
        unit: ``accelerator`` or ``dimc``.
        dimc_residency: ``resident`` weights stay in the tiles for good; ``reload`` writes them
            for every inference.
        dimc_copies: number of copies of the weights in tiles, which share the pixels.
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
    weights_pool: str = "auto"
    depth_first: bool = False
    stripes: int = FEWEST_STRIPES
    halo: str = KEEP
    output_pool: str = "auto"
    unit: str = ACCELERATOR
    dimc_residency: str = RESIDENT
    dimc_copies: int = 1


NEUTRAL = Choice()


def effective_choice(
    choice: Choice, shape: Shape, shares: Mapping[str, int], hardware: Hardware
) -> Choice:
    """Reduces a choice to its effect: values without an effect become neutral.

    Numbers of accelerators and parts are limited to the number of shares.

    Args:
        choice: as requested.
        shape: of the operation.
        shares: of the operation, as :func:`shares_of` counts them.
        hardware: gives the units.
    """
    neutral = NEUTRAL._replace(
        depth_first=choice.depth_first,
        stripes=choice.stripes,
        halo=choice.halo,
        output_pool=choice.output_pool,
    )
    if shape.kind is not OperationKind.CONVOLUTION:
        return neutral._replace(chain=choice.chain)
    # What the file stores in other than 8 bits stays as it is.
    bits = choice.weight_bits if shape.weight_bits == NEUTRAL.weight_bits else shape.weight_bits
    if choice.unit == DIMC and hardware.dimc is not None:
        return neutral._replace(
            weight_bits=bits,
            unit=DIMC,
            dimc_residency=choice.dimc_residency,
            dimc_copies=choice.dimc_copies,
        )
    accelerators = min(
        choice.accelerators, hardware.units.accelerators, shares[choice.parallel_over]
    )
    parts = 2 ** (min(choice.parts, shares[choice.parts_over]).bit_length() - 1)
    return choice._replace(
        accelerators=accelerators,
        parallel_over=choice.parallel_over if accelerators > 1 else INPUT_CHANNELS,
        parts=parts,
        parts_over=choice.parts_over if parts > 1 else KERNELS,
        chain=choice.chain and parts == 1,
        weight_bits=bits,
        weight_compression=choice.weight_compression and hardware.units.decompressors > 0,
        weights_pool=choice.weights_pool if choice.weights == RESIDENT else NEUTRAL.weights_pool,
        unit=NEUTRAL.unit,
        dimc_residency=NEUTRAL.dimc_residency,
        dimc_copies=NEUTRAL.dimc_copies,
    )


def shares_of(shape: Shape) -> dict[str, int]:
    """The largest number of non-empty shares of a convolution along each of :data:`SPLITS`.

    Windows take eight input channels at a time (see :mod:`.accelerator`), so shares of a window
    are multiples of eight channels. The input channels of a grouped convolution are not split.
    """
    channels = shape.channels_in if shape.taps == (1, 1) else ceil(shape.channels_in / 8)
    return {
        INPUT_CHANNELS: channels if shape.groups == 1 else 1,
        KERNELS: shape.channels_out,
        STRIPES: shape.rows_out,
    }
