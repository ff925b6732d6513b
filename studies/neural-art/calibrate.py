"""Fits the two constants of the calibrated rule to published latencies, and cross-validates them.

    python studies/neural-art/calibrate.py

``flash_cycles_per_byte`` and ``compute_factor`` are fitted: they minimise the mean absolute error
of log latency over the admitted rows. The fixed costs of epochs were measured on single epochs and
stay as they are. What is printed belongs into the table [calibration] of stm32n6.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from published import PUBLISHED, Errors, PublishedRow, admitted, read_published

from npu_tune.report.tables import table
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.core import Core
from npu_tune.targets.neural_art.hardware import HardwareVariants, load_hardware

HARDWARE = "stm32n6"
ROUND = (2.7, 1.0)
"""What one would write down without a fit: the median rate at which weights were measured to
stream (371 MB/s, 2.7 cycles per byte), and the vendor compiler's cycles as they are."""

_FLASH_RANGE = (1.0, 8.0)
_COMPUTE_RANGE = (0.5, 2.0)
_STEPS = 31
_ZOOMS = 6

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Constants:
    """The fitted constants, in cycles per byte and without unit."""

    flash_cycles_per_byte: float
    compute_factor: float


@dataclass(frozen=True)
class Sample:
    """One published latency, and the network's epochs before the constants are applied.

    Args:
        row: as published.
        compute: cycles of the units, per epoch.
        ram: cycles of the slowest memory or stream, per epoch.
        flash: bytes from flash, per epoch.
        fixed: cycles that no fitted constant touches, of all epochs together.
        clock_mhz: of the accelerator.
    """

    row: PublishedRow
    compute: Array
    ram: Array
    flash: Array
    fixed: float
    clock_mhz: float

    def ratios(self, flash_cycles_per_byte: Array, compute_factor: Array) -> Array:
        """Simulated / published latency, for constants of any shapes that broadcast.

        The simulator's rule: an epoch takes as long as the slowest of what it does.
        """
        busy = np.maximum(
            np.maximum(self.compute * compute_factor[..., None], self.ram),
            self.flash * flash_cycles_per_byte[..., None],
        )
        cycles = np.asarray(busy.sum(axis=-1) + self.fixed)
        return cycles / (self.clock_mhz * 1e3 * self.row.latency_ms)

    def error(self, constants: Constants) -> float:
        ratio = self.ratios(
            np.asarray(constants.flash_cycles_per_byte), np.asarray(constants.compute_factor)
        )
        return float(ratio) - 1


def samples_of(rows: Sequence[PublishedRow]) -> list[Sample]:
    """Compiles the network of each row by default, with both constants at 1."""
    hardware = load_hardware(HARDWARE)
    plain = replace(hardware.calibration, flash_cycles_per_byte=1.0, compute_factor=1.0)
    variants = HardwareVariants.of(replace(hardware, calibration=plain), {})
    samples = []
    for row in rows:
        core = Core(
            row.load(), variants, rule=CALIBRATED, four_bit_weights=False, external_ram=True
        )
        run = core.run(core.space.default)
        parts = np.array([[s.compute_cycles, s.ram_cycles, s.flash_cycles] for s in run.steps])
        cycles = sum(step.cycles for step in run.steps) + sum(run.waits)
        fixed = cycles - float(parts.max(axis=1).sum())
        samples.append(Sample(row, *parts.T, fixed, hardware.clock_mhz))
    return samples


def fitted(samples: Sequence[Sample]) -> Constants:
    """The constants with the least mean absolute error of log latency, by ever finer grids."""
    low = np.log([_FLASH_RANGE[0], _COMPUTE_RANGE[0]])
    high = np.log([_FLASH_RANGE[1], _COMPUTE_RANGE[1]])
    best = (low + high) / 2
    for _ in range(_ZOOMS):
        flash, compute = (np.linspace(*ends, _STEPS) for ends in zip(low, high, strict=True))
        misfit = sum(
            np.abs(np.log(sample.ratios(np.exp(flash)[:, None], np.exp(compute)[None, :])))
            for sample in samples
        )
        row, column = divmod(int(np.argmin(misfit)), _STEPS)
        best = np.array([flash[row], compute[column]])
        # The next grid spans four steps of this one, so that a slanted valley is not lost.
        reach = 4 * (high - low) / (_STEPS - 1)
        low, high = best - reach, best + reach
    return Constants(*(float(value) for value in np.exp(best)))


def held_out(samples: Sequence[Sample]) -> dict[str, Constants]:
    """Per family, the constants fitted to all other families."""
    families = dict.fromkeys(sample.row.family for sample in samples)
    return {
        family: fitted([sample for sample in samples if sample.row.family != family])
        for family in families
    }


def calibration_text(samples: Sequence[Sample]) -> str:
    """The constants, their errors, and those of families that they were not fitted to."""
    constants = fitted(samples)
    others = held_out(samples)
    by_family = [
        [
            family,
            f"{fit.flash_cycles_per_byte:.3f}",
            f"{fit.compute_factor:.3f}",
            *_figures([s.error(fit) for s in samples if s.row.family == family]),
        ]
        for family, fit in others.items()
    ]
    summary = [
        [f"fitted to all {len(samples)} rows", *_figures([s.error(constants) for s in samples])],
        [
            "each family by the others' fit",
            *_figures([s.error(others[s.row.family]) for s in samples]),
        ],
        [
            f"no fit: {ROUND[0]:g} and {ROUND[1]:g}",
            *_figures([s.error(Constants(*ROUND)) for s in samples]),
        ],
    ]
    return "\n".join(
        [
            f"flash_cycles_per_byte = {constants.flash_cycles_per_byte:.2f}",
            f"compute_factor = {constants.compute_factor:.2f}",
            "",
            "Absolute errors of latency",
            table(["", "median", "p90", "worst"], summary),
            "",
            "Each family by constants fitted to the others",
            table(["family", "flash", "compute", "median", "p90", "worst"], by_family),
        ]
    )


def _figures(errors: Sequence[float]) -> list[str]:
    found = Errors.of(errors)
    return [f"{value:.1%}" for value in (found.median, found.p90, found.worst)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="CSV of published rows")
    arguments = parser.parse_args()
    print(calibration_text(samples_of(admitted(read_published(arguments.published)))))


if __name__ == "__main__":
    main()
