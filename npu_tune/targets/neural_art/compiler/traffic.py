"""What moving bytes between memories and units costs, once it is known where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.placement import is_external
from npu_tune.targets.neural_art.hardware import Pool

Pieces = tuple[tuple[int, float], ...]
"""Where a block lies: positions of pools, with the share of the block in each."""


class Load(NamedTuple):
    """Cycles of one memory.

    Args:
        fixed: for what moves once.
        per_read: for reading the first input once.
        per_fetched: for a byte of preloaded weights.
        per_partial: for a byte of partial sums.
    """

    fixed: float
    per_read: float
    per_fetched: float
    per_partial: float


class Traffic(NamedTuple):
    """The streams of an epoch by where they lie.

    Args:
        loads: one per memory in use.
        input_ratio: NPU cycles per access to the memory of the first input.
        output_ratio: the same of the output.
        inside: bytes in RAM on the chip: what moves once, per read of the first input, per byte
            of partial sums.
        outside: the same of external RAM.
        energy: the same, relative, and per byte of preloaded weights written and read.
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
        pools: Sequence[Pool],
        inputs: Sequence[tuple[Pieces, int]],
        output: tuple[Pieces, int],
        *,
        buffer: Pieces | None,
        sums: Pieces | None,
    ) -> Traffic:
        """Adds up the streams.

        Args:
            pools: that pieces point to.
            inputs: where each map that is read lies, with the bytes that are read.
            output: the same of the map that is written.
            buffer: where preloaded weights lie.
            sums: where partial sums lie, of which as many bytes are written as read.
        """
        adder = _Adder(pools)
        for position, (pieces, size) in enumerate(inputs):
            adder.add(pieces, size, 0.0, column=1 if position == 0 else 0)
        adder.add(output[0], 0.0, output[1], column=0)
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
        """Cycles of the memory that is busy longest."""
        return max(
            [
                load.fixed
                + load.per_read * reads
                + load.per_fetched * fetched
                + load.per_partial * partial
                for load in self.loads
            ]
        )

    def moved(
        self, reads: float, fetched: int, partial: int, filled: int
    ) -> tuple[float, float, float]:
        """Bytes on the chip, bytes outside, and relative energy of moving them."""
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

    def __init__(self, pools: Sequence[Pool]) -> None:
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


def _slowest(pools: Sequence[Pool], pieces: Pieces) -> float:
    return max(pools[index].clock_ratio for index, _ in pieces)
