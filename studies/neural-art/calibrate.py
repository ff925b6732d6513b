"""Fits the two constants of the calibrated rule to published latencies, and cross-validates them.

    python studies/neural-art/calibrate.py

``flash_cycles_per_byte`` and ``compute_factor`` are fitted: they minimise the mean absolute error
of log latency over the admitted rows. The fixed costs of epochs were measured on single epochs and
stay as they are. What is printed belongs into the table [calibration] of stm32n6.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from published import PUBLISHED, Errors, PublishedRow, admitted, read_published
from simulated import HARDWARE, default_run

from npu_tune.report.tables import table

FEWEST_FAMILIES = 3
"""With fewer, constants would be fitted to a single family."""

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


ROUND = Constants(2.7, 1.0)
"""What one would write down without a fit: the median rate at which weights were measured to
stream (371 MB/s, 2.7 cycles per byte), and the vendor compiler's cycles as they are."""


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
    """Simulates the network of each row by default, and takes the present constants out."""
    now = HARDWARE.calibration
    samples = []
    for row in rows:
        run = default_run(row.network, row.compiler)
        figures = [step.costs for step in run.steps]
        parts = np.array([[f.compute_cycles, f.ram_cycles, f.flash_cycles] for f in figures])
        cycles = sum(step.cycles for step in run.steps) + sum(run.waits)
        sample = Sample(
            row,
            compute=parts[:, 0] / now.compute_factor,
            ram=parts[:, 1],
            flash=parts[:, 2] / now.flash_cycles_per_byte,
            fixed=cycles - float(parts.max(axis=1).sum()),
            clock_mhz=HARDWARE.clock_mhz,
        )
        samples.append(sample)
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
    """Per family, the constants fitted to all other families; empty with fewer than three."""
    families = dict.fromkeys(sample.row.family for sample in samples)
    if len(families) < FEWEST_FAMILIES:
        return {}
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
    errors = {
        f"fitted to all {len(samples)} rows": [s.error(constants) for s in samples],
        "each family by the others' fit": [
            s.error(others[s.row.family]) for s in samples if others
        ],
        f"no fit: {ROUND.flash_cycles_per_byte:g} and {ROUND.compute_factor:g}": [
            s.error(ROUND) for s in samples
        ],
    }
    summary = [[name, *_figures(found)] for name, found in errors.items() if found]
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
