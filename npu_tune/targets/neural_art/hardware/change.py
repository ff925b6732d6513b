"""Changes parameters of a hardware description, with the consequences real hardware would show."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from npu_tune.targets.neural_art.hardware.description import Hardware, MemoryPool, PoolKind

UNITS: Mapping[str, str] = {
    "accelerators": "accelerators",
    "macs_per_cycle": "macs_per_cycle",
    "kernel_buffer_bytes": "kernel_buffer_bytes",
    "feature_buffer_bytes": "feature_buffer_bytes",
    "line_buffer_bytes": "line_buffer_bytes",
    "stream_engines": "stream_engines",
    "pool_units": "pools",
    "activation_units": "activations",
    "arithmetic_units": "arithmetics",
    "decompressors": "decompressors",
}
"""Fields of :class:`~.description.Units` by parameter name."""

DIMC: Mapping[str, str] = {
    "dimc_tiles": "tiles",
    "dimc_rows": "rows",
    "dimc_columns": "columns",
    "dimc_cycles_per_pass": "cycles_per_pass",
    "dimc_load_bytes_per_cycle": "load_bytes_per_cycle",
}
"""Fields of :class:`~.description.Dimc` by parameter name."""

CLOCKS = ("clock_mhz", "cpu_clock_mhz")
RAM_SCALE = "internal_ram_scale"
POOL = "pools."
"""Prefix of the parameter that is the size of a pool: ``pools.NAME``, in bytes."""

_STREAM_BYTES = 8
"""Scaled pool sizes are rounded down to words of a stream engine."""


def parameter_value(hardware: Hardware, parameter: str) -> Any:
    """The value of a parameter in a description; None for those of tiles if it has none."""
    if parameter in UNITS:
        return getattr(hardware.units, UNITS[parameter])
    if parameter in DIMC:
        return getattr(hardware.dimc, DIMC[parameter]) if hardware.dimc is not None else None
    if parameter == RAM_SCALE:
        return 1.0
    if parameter.startswith(POOL):
        name = parameter.removeprefix(POOL)
        return next(pool.size_bytes for pool in hardware.pools if pool.name == name)
    return getattr(hardware, parameter)


def change_hardware(hardware: Hardware, parameters: Mapping[str, Any]) -> Hardware:
    """Makes a description with other parameters.

    - Adjacent pools stay adjacent: those behind one that shrinks or grows move. A pool of zero
      bytes is removed.
    - When the NPU's clock changes, memories keep their own clocks, but deliver at most their
      width per NPU cycle; the fixed cost of an epoch keeps its time.
    - The fixed cost of a software epoch is a time of the CPU and scales with the CPU's clock.
    - Zero tiles remove in-memory computing.

    Args:
        hardware: the description; stays unchanged.
        parameters: new values by name: of ``UNITS``, ``DIMC`` and ``CLOCKS``,
            ``internal_ram_scale``, and ``pools.NAME`` for the bytes of a pool.
    """
    units = {UNITS[name]: value for name, value in parameters.items() if name in UNITS}
    dimc = {DIMC[name]: value for name, value in parameters.items() if name in DIMC}
    tiles = hardware.dimc
    if tiles is not None and dimc:
        tiles = replace(tiles, **dimc) if dimc.get("tiles", tiles.tiles) else None
    resized = replace(
        hardware,
        units=replace(hardware.units, **units),
        dimc=tiles,
        pools=_resize_pools(hardware.pools, parameters),
    )
    clock_mhz, cpu_clock_mhz = (
        float(parameters.get(c, parameter_value(hardware, c))) for c in CLOCKS
    )
    return _change_clocks(resized, clock_mhz=clock_mhz, cpu_clock_mhz=cpu_clock_mhz)


def _resize_pools(
    pools: tuple[MemoryPool, ...], parameters: Mapping[str, Any]
) -> tuple[MemoryPool, ...]:
    scale = parameters.get(RAM_SCALE, 1.0)
    sizes = {}
    for pool in pools:
        size = int(parameters.get(POOL + pool.name, pool.size_bytes))
        if scale != 1.0 and pool.kind in (PoolKind.NPU, PoolKind.CPU):
            size = int(size * scale) // _STREAM_BYTES * _STREAM_BYTES
        sizes[pool.name] = size
    bases = _pool_bases(pools, sizes)
    moved = (replace(p, size_bytes=sizes[p.name], base=bases[p.name]) for p in pools)
    return tuple(pool for pool in moved if pool.size_bytes > 0)


def _pool_bases(pools: Iterable[MemoryPool], sizes: Mapping[str, int]) -> dict[str, int]:
    in_order = sorted(pools, key=lambda pool: pool.base)
    bases = {pool.name: pool.base for pool in in_order}
    for before, pool in itertools.pairwise(in_order):
        if before.end == pool.base:
            bases[pool.name] = bases[before.name] + sizes[before.name]
    return bases


def _change_clocks(hardware: Hardware, *, clock_mhz: float, cpu_clock_mhz: float) -> Hardware:
    if (clock_mhz, cpu_clock_mhz) == (hardware.clock_mhz, hardware.cpu_clock_mhz):
        return hardware
    faster = clock_mhz / hardware.clock_mhz
    cpu_faster = cpu_clock_mhz / hardware.cpu_clock_mhz
    constants = hardware.calibration
    return replace(
        hardware,
        clock_mhz=clock_mhz,
        cpu_clock_mhz=cpu_clock_mhz,
        pools=tuple(
            replace(p, clock_ratio=max(p.clock_ratio * faster, min(p.clock_ratio, 1.0)))
            for p in hardware.pools
        ),
        calibration=replace(
            constants,
            flash_cycles_per_byte=constants.flash_cycles_per_byte * faster,
            epoch_cycles=constants.epoch_cycles * faster,
            software_epoch_cycles=constants.software_epoch_cycles * faster / cpu_faster,
        ),
    )
