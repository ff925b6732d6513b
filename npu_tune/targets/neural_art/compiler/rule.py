"""The two cost rules: the vendor compiler's estimate, and one calibrated to measurements."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.targets.neural_art.hardware import Hardware

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
