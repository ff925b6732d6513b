"""The search space of the vendor's own compiler: options for the whole network alone."""

from npu_tune.targets.neural_art.vendor.options import (
    CONSTANTS,
    SPLITS,
    VendorOptions,
    every_setting,
    vendor_choices,
)
from npu_tune.targets.neural_art.vendor.sweep import (
    VendorSetting,
    best_setting,
    settings_of,
    vendor_settings,
)

__all__ = [
    "CONSTANTS",
    "SPLITS",
    "VendorOptions",
    "VendorSetting",
    "best_setting",
    "every_setting",
    "settings_of",
    "vendor_choices",
    "vendor_settings",
]
