"""Hardware descriptions: validated data files, and variants of them."""

from npu_tune.targets.neural_art.hardware.description import (
    Calibration,
    Dimc,
    Energy,
    Hardware,
    MemoryPool,
    PoolKind,
    Units,
)
from npu_tune.targets.neural_art.hardware.load import hardware_names, load_hardware
from npu_tune.targets.neural_art.hardware.variants import (
    VARIABLE_PARAMETERS,
    HardwareVariants,
    Variant,
)

__all__ = [
    "VARIABLE_PARAMETERS",
    "Calibration",
    "Dimc",
    "Energy",
    "Hardware",
    "HardwareVariants",
    "MemoryPool",
    "PoolKind",
    "Units",
    "Variant",
    "hardware_names",
    "load_hardware",
]
