"""What a compiled program needs of each memory."""

from __future__ import annotations

from npu_tune.targets.needs import MemoryNeed
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.hardware import Hardware
from npu_tune.targets.neural_art.program import pools_document

_OF_A_POOL = "Of {size:,} bytes, up to the end of the last buffer in the simulated program, which lists them."
_OF_FLASH = "Weights and constants, one after the other as the program lists them."
_VENDOR = (
    "The vendor's compiler places everything by itself; what it comes to stands in its own report.",
)


def memory_needs(run: Run, hardware: Hardware, *, flash_bytes: float) -> tuple[MemoryNeed, ...]:
    """The pools of RAM that are used, and flash.

    Args:
        run: of the configuration.
        hardware: that it ran on.
        flash_bytes: of weights and constants.
    """
    pools = [
        MemoryNeed(
            f"pool {pool['name']}",
            f"{pool['kind']} RAM",
            pool["used_bytes"],
            _OF_A_POOL.format(size=pool["size_bytes"]),
            _VENDOR,
        )
        for pool in pools_document(run)
        if pool["used_bytes"]
    ]
    flash = MemoryNeed(
        f"pool {hardware.flash.name}", "flash", int(flash_bytes), _OF_FLASH, _VENDOR
    )
    return (*pools, flash) if flash_bytes else tuple(pools)
