"""Costs of moving bytes between memories and units, once blocks are placed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.placement import is_external
from npu_tune.targets.neural_art.hardware import MemoryPool

Pieces = tuple[tuple[int, float], ...]
"""Where a block is: (index of a pool, share of the block in it) per pool."""


class Load(NamedTuple):
    """NPU cycles of one memory in an epoch.

    Args:
        fixed: for streams that move once.
        per_read: per time that the first input is read.
        per_fetched: per byte of preloaded weights.
        per_partial: per byte of partial sums.
    """

    fixed: float
    per_read: float
    per_fetched: float
    per_partial: float


class Traffic(NamedTuple):
    """The streams of an epoch, summed by memory.

    Args:
        loads: one per memory in use.
        input_ratio: NPU cycles per access to the memory of the first input.
        output_ratio: NPU cycles per access to the memory of the output.
        inside: bytes moved in RAM on the chip: (once, per read of the first input, per byte of
            partial sums).
        outside: bytes moved in external RAM, in the same order.
        energy: relative energy in the same order, then per byte of preloaded weights written and
            per byte of them read.
    """

    loads: tuple[Load, ...]
    input_ratio: float
    output_ratio: float
    inside: tuple[float, float, float]
    outside: tuple[float, float, float]
    energy: tuple[float, float, float, float, float]

    @classmethod
    def of(
        cls,
        pools: Sequence[MemoryPool],
        inputs: Sequence[tuple[Pieces, int]],
        output: tuple[Pieces, int],
        *,
        further: Sequence[tuple[Pieces, int]] = (),
        weights: Sequence[tuple[Pieces, int]] = (),
        buffer: Pieces | None,
        sums: Pieces | None,
    ) -> Traffic:
        """Sums the streams of an epoch.

        Args:
            pools: that pieces refer to.
            inputs: (pieces, bytes) of each map that is read.
            output: (pieces, bytes) of the map that is written.
            further: (pieces, bytes) of each other map that is written.
            weights: (pieces, bytes) of resident weights that are read.
            buffer: pieces of the preloaded weights; None for none.
            sums: pieces of the partial sums, of which half the bytes are written and half read;
                None for none.
        """
        adder = _Adder(pools)
        for position, (pieces, size) in enumerate(inputs):
            adder.add(pieces, size, 0.0, column=1 if position == 0 else 0)
        for pieces, size in weights:
            adder.add(pieces, size, 0.0, column=0)
        for pieces, size in (output, *further):
            adder.add(pieces, 0.0, size, column=0)
        if buffer is not None:
            adder.add(buffer, 1.0, 0.0, column=2)
        if sums is not None:
            adder.add(sums, 0.5, 0.5, column=3)
        fill = pools[buffer[0][0]].write_power if buffer is not None else 0.0
        inside, outside, energy = adder.inside, adder.outside, adder.energy
        return cls(
            tuple(Load(*cycles) for cycles in adder.cycles.values()),
            _slowest(pools, inputs[0][0]) if inputs else 0.0,
            _slowest(pools, output[0]),
            (inside[0], inside[1], inside[3]),
            (outside[0], outside[1], outside[3]),
            (energy[0], energy[1], energy[3], fill, energy[2]),
        )

    def busiest(self, reads: float, fetched: int, partial: int) -> float:
        """NPU cycles of the memory that is busy longest."""
        return max(
            [
                load.fixed
                + load.per_read * reads
                + load.per_fetched * fetched
                + load.per_partial * partial
                for load in self.loads
            ]
        )

    def totals(
        self, reads: float, fetched: int, partial: int, filled: int
    ) -> tuple[float, float, float]:
        """(bytes on the chip, bytes in external RAM, relative energy) of all that is moved."""
        inside, outside, energy = self.inside, self.outside, self.energy
        return (
            inside[0] + inside[1] * reads + inside[2] * partial + fetched + filled,
            outside[0] + outside[1] * reads + outside[2] * partial,
            energy[0]
            + energy[1] * reads
            + energy[2] * partial
            + energy[3] * filled
            + energy[4] * fetched,
        )


class _Adder:
    """Sums by memory; the columns are those of :class:`Load`."""

    def __init__(self, pools: Sequence[MemoryPool]) -> None:
        self._pools = pools
        self.cycles: dict[int, list[float]] = {}
        self.inside = [0.0] * 4
        self.outside = [0.0] * 4
        self.energy = [0.0] * 4

    def add(self, pieces: Pieces, read: float, written: float, *, column: int) -> None:
        for index, share in pieces:
            pool = self._pools[index]
            row = self.cycles.setdefault(index, [0.0] * 4)
            row[column] += (read + written) * share * pool.cycles_per_byte
            side = self.outside if is_external(pool) else self.inside
            side[column] += (read + written) * share
            self.energy[column] += (read * pool.read_power + written * pool.write_power) * share


def _slowest(pools: Sequence[MemoryPool], pieces: Pieces) -> float:
    return max(pools[index].clock_ratio for index, _ in pieces)
