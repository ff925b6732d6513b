"""The hardware description: units, memories, energies and calibration, as plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class PoolKind(StrEnum):
    """Which memory a pool is in."""

    NPU = "npu"
    """Private RAM of the accelerator."""
    CPU = "cpu"
    """On-chip RAM shared with the CPU."""
    EXTERNAL = "external"
    """RAM outside the chip."""
    FLASH = "flash"
    """Read-only memory that holds the weights."""


@dataclass(frozen=True, slots=True)
class MemoryPool:
    """A memory pool.

    Args:
        name: as the vendor's tool spells it.
        kind: of memory.
        base: address of the first byte; adjacent pools may be joined to one virtual pool.
        size_bytes: capacity.
        width_bytes: bytes moved per clock cycle of the memory.
        clock_ratio: NPU clock / memory clock.
        read_power: relative power of reading, as the vendor's pool files state it, without unit.
        write_power: relative power of writing.
    """

    name: str
    kind: PoolKind
    base: int
    size_bytes: int
    width_bytes: int
    clock_ratio: float
    read_power: float
    write_power: float

    @property
    def cycles_per_byte(self) -> float:
        """NPU cycles to move one byte."""
        return self.clock_ratio / self.width_bytes

    @property
    def end(self) -> int:
        return self.base + self.size_bytes


@dataclass(frozen=True, slots=True)
class Units:
    """The accelerator's units; every count is per NPU.

    Args:
        accelerators: convolution accelerators (CA).
        macs_per_cycle: of one CA at 8 x 8 bits.
        kernel_buffer_bytes: of weights that one CA holds while feature maps stream through.
        feature_buffer_bytes: of a feature map that one CA holds while weights stream through.
        stream_engines: streams that can be open in one epoch.
        pools: pooling units.
        activations: activation units.
        arithmetics: arithmetic units.
        decompressors: weight-decompression units.
        line_buffer_bytes: of the reconfigurable buffer, which holds the rows that a window needs
            when it is chained behind another operation in the same epoch; 0 for none.
    """

    accelerators: int
    macs_per_cycle: int
    kernel_buffer_bytes: int
    feature_buffer_bytes: int
    stream_engines: int
    pools: int
    activations: int
    arithmetics: int
    decompressors: int
    line_buffer_bytes: int


@dataclass(frozen=True, slots=True)
class Dimc:
    """Digital in-memory-computing tiles beside the accelerators.

    Args:
        tiles: number of tiles.
        rows: weights of one kernel that a tile holds, which are its inputs per pass.
        columns: kernels that a tile holds at 8 bits; twice as many at 4.
        cycles_per_pass: NPU cycles to multiply one input vector with all weights of a tile.
        load_bytes_per_cycle: rate of writing weights into tiles, all tiles together.
        mac_power: relative energy of a multiply-accumulate, on the scale of ``Energy``.
    """

    tiles: int
    rows: int
    columns: int
    cycles_per_pass: int
    load_bytes_per_cycle: float
    mac_power: float

    @property
    def capacity_bytes(self) -> int:
        """Bytes of weights that all tiles hold."""
        return self.tiles * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Energy:
    """Relative energies; only their ratios have a meaning.

    Args:
        mac: of one 8 x 8 bit multiply-accumulate in a convolution accelerator.
        element: of one element through a pool, activation or arithmetic unit.
        cpu_cycle: of one cycle of the CPU.
        idle_cycle: of one NPU cycle, busy or not.
    """

    mac: float
    element: float
    cpu_cycle: float
    idle_cycle: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The constants of the calibrated rule, fitted to published measurements.

    Args:
        flash_cycles_per_byte: NPU cycles to stream one byte of weights from flash.
        epoch_cycles: fixed cost of a hardware epoch.
        software_epoch_cycles: fixed cost of an epoch on the CPU.
        compute_factor: measured / estimated cycles of the units.
    """

    flash_cycles_per_byte: float
    epoch_cycles: float
    software_epoch_cycles: float
    compute_factor: float


@dataclass(frozen=True, slots=True)
class Hardware:
    """One accelerator with its memories.

    Args:
        name: such as ``stm32n6``.
        description: one line of text.
        clock_mhz: of the NPU.
        cpu_clock_mhz: of the CPU that runs software epochs.
        cpu_cycles_per_element: CPU cycles a software epoch takes per element it reads or writes.
        weight_bits: widths of weights that the accelerators support, such as (8, 4).
        units: of the accelerator.
        pools: internal RAM in order of preference, then external RAM, then flash.
        energy: relative energies.
        calibration: of the calibrated rule.
        dimc: in-memory-computing tiles; None for none.
    """

    name: str
    description: str
    clock_mhz: float
    cpu_clock_mhz: float
    cpu_cycles_per_element: float
    weight_bits: tuple[int, ...]
    units: Units
    pools: tuple[MemoryPool, ...]
    energy: Energy
    calibration: Calibration
    dimc: Dimc | None = None

    @property
    def flash(self) -> MemoryPool:
        return next(pool for pool in self.pools if pool.kind is PoolKind.FLASH)

    @property
    def internal(self) -> tuple[MemoryPool, ...]:
        """RAM on the chip, in order of preference."""
        return tuple(p for p in self.pools if p.kind in (PoolKind.NPU, PoolKind.CPU))

    @property
    def external(self) -> tuple[MemoryPool, ...]:
        """RAM outside the chip."""
        return tuple(p for p in self.pools if p.kind is PoolKind.EXTERNAL)

    @property
    def digest(self) -> str:
        """SHA-256 of all parameters, in hexadecimal: the identity of the hardware."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
