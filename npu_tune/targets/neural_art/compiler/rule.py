"""The two cost rules: the vendor compiler's estimate, and one calibrated to measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace

from npu_tune.targets.neural_art.hardware import Hardware, PoolKind

CALIBRATED = "calibrated"
VENDOR = "vendor"


@dataclass(frozen=True, slots=True)
class CostRule:
    """The constants that turn demands into NPU cycles.

    Under both rules the units, memories and streams work in parallel, so that an epoch takes as
    long as the slowest of them (the vendor compiler's own rule, which held for 250 of 251 hardware
    epochs of its estimates).

    Args:
        flash_cycles_per_byte: NPU cycles to stream one byte of weights from flash.
        epoch_cycles: fixed cost of a hardware epoch.
        software_epoch_cycles: fixed cost of an epoch on the CPU.
        compute_factor: by which the cycles of the units are multiplied.
    """

    flash_cycles_per_byte: float
    epoch_cycles: float
    software_epoch_cycles: float
    compute_factor: float


def memories_of(name: str, hardware: Hardware) -> Hardware:
    """The hardware with its memories at the speed that a rule gives them.

    The vendor's compiler counts external memory by its pool file: 6 cycles for a byte of flash, 2.5
    for one of external RAM. On the STM32N6570-DK board both are behind interfaces of the same kind
    and clock (200 MHz, both edges), flash with 8 lines and RAM with 16 (its data sheets). So
    under the calibrated rule a transfer of external RAM takes as long as the measured one of flash,
    and brings twice the bytes; never longer than its own description says.
    """
    if name == VENDOR:
        return hardware
    transfer = hardware.calibration.flash_cycles_per_byte * hardware.flash.width_bytes
    pools = tuple(
        replace(pool, clock_ratio=min(pool.clock_ratio, transfer))
        if pool.kind is PoolKind.EXTERNAL
        else pool
        for pool in hardware.pools
    )
    return replace(hardware, pools=pools)


def cost_rule(name: str, hardware: Hardware) -> CostRule:
    """Makes the rule of a name, ``calibrated`` or ``vendor``.

    The vendor's rule has no fixed costs and reads flash at the rate of its pool description.
    """
    if name == VENDOR:
        return CostRule(hardware.flash.cycles_per_byte, 0.0, 0.0, 1.0)
    fitted = hardware.calibration
    return CostRule(
        fitted.flash_cycles_per_byte,
        fitted.epoch_cycles,
        fitted.software_epoch_cycles,
        fitted.compute_factor,
    )
