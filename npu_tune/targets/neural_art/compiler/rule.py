"""The two cost rules: the vendor compiler's own estimate, and the one fitted to measurements."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.targets.neural_art.hardware import Hardware

CALIBRATED = "calibrated"
VENDOR = "vendor"
RULES = (CALIBRATED, VENDOR)


@dataclass(frozen=True, slots=True)
class CostRule:
    """What turns demands into NPU cycles.

    Under both rules the units, every memory and every stream work at the same time, so that an
    epoch takes as long as the slowest of them (the vendor compiler's own rule, which held for 250
    of 251 hardware epochs of its estimates).

    Args:
        flash_cycles_per_byte: of weights streamed from flash.
        epoch_cycles: added to each hardware epoch.
        software_epoch_cycles: added to each epoch on the CPU.
        compute_factor: on the cycles of the units.
    """

    flash_cycles_per_byte: float
    epoch_cycles: float
    software_epoch_cycles: float
    compute_factor: float


def cost_rule(name: str, hardware: Hardware) -> CostRule:
    """The rule called ``calibrated`` or ``vendor``.

    The vendor's has no fixed costs and takes flash at the rate of its pool description.
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
