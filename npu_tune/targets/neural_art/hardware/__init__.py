"""Hardware descriptions: validated data files, and variants of them."""

from npu_tune.targets.neural_art.hardware.description import (
    Calibration,
    Dimc,
    Energy,
    Hardware,
    Pool,
    PoolKind,
    Units,
)
from npu_tune.targets.neural_art.hardware.load import hardware_names, load_hardware

__all__ = [
    "Calibration",
    "Dimc",
    "Energy",
    "Hardware",
    "Pool",
    "PoolKind",
    "Units",
    "hardware_names",
    "load_hardware",
]
