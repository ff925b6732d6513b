"""The demand of an operation on in-memory-computing tiles."""

from __future__ import annotations

from math import ceil

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.compiler.choice import RESIDENT, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.weights import (
    stored_weight_bytes,
    streamed_weight_bytes,
)
from npu_tune.targets.neural_art.graph import Operation
from npu_tune.targets.neural_art.hardware import Dimc


def tiles_needed(operation: Operation, shape: Shape, choice: Choice, dimc: Dimc) -> int:
    """Number of tiles that hold one copy of the weights."""
    taps = operation.kernel[0] * operation.kernel[1]
    columns = dimc.columns * 8 // choice.weight_bits
    return ceil(shape.channels_in * taps / dimc.rows) * ceil(shape.channels_out / columns)


def tile_demand(
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
        passes=float(passes),
        stored=stored,
        serial=loaded,
        serial_cycles=loaded * choice.dimc_copies / dimc.load_bytes_per_cycle,
        energy=operation.macs * dimc.mac_power,
        macs=operation.macs,
    )
