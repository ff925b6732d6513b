"""What the model says, beside what was published: whole networks and single epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from published import EPOCHS, KIB, PublishedRow
from simulated import HARDWARE, default_run

from npu_tune.errors import StorageError, UsageError
from npu_tune.targets import Confidence
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.confidence import confidence_of
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.validation import (
    EpochEstimate,
    ReportedEpoch,
    estimate_epoch,
    reported_epochs,
)

QUANTITIES = ("latency", "RAM", "flash")
NEAR = 0.10
"""An estimate of an epoch counts as right within 10 %."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of a row's network, default configuration.

    Args:
        row: as published.
        latency_ms: one inference.
        ram_kib: on the chip and outside, the sum over pools.
        flash_kib: weights and biases.
        external_ram_kib: of the RAM, outside the chip.
        confidence: that the model states for the network.
    """

    row: PublishedRow
    latency_ms: float
    ram_kib: float
    flash_kib: float
    external_ram_kib: float
    confidence: Confidence

    @property
    def errors(self) -> Mapping[str, float]:
        """Signed relative errors of what was published."""
        row = self.row
        pairs = (
            ("latency", self.latency_ms, row.latency_ms),
            ("RAM", self.ram_kib, row.total_ram_kib),
            ("flash", self.flash_kib, row.flash_kib),
        )
        return {name: got / wanted - 1 for name, got, wanted in pairs if wanted}


Predictions = Sequence[Prediction]


def predictions(rows: Sequence[PublishedRow]) -> list[Prediction]:
    """What the model says of each row's network."""
    return [_prediction(row) for row in rows]


def _prediction(row: PublishedRow) -> Prediction:
    run = default_run(row.network, row.compiler)
    metrics = evaluation_of(run, HARDWARE).metrics
    # Which layers have 4 bits is not published: all of them count as having the share.
    left = 1 - row.four_bits / 2
    figures = [step.costs for step in run.steps]
    parts = np.array([[f.compute_cycles, f.ram_cycles, f.flash_cycles] for f in figures])
    saved = parts.max(axis=1) - (parts * [1, 1, left]).max(axis=1)
    return Prediction(
        row,
        metrics["latency_ms"] - float(saved.sum()) / (HARDWARE.clock_mhz * 1e3),
        metrics["ram_bytes"] / KIB,
        metrics["flash_bytes"] * left / KIB,
        metrics["external_ram_bytes"] / KIB,
        confidence_of(run, [HARDWARE], CALIBRATED),
    )


def errors_of(given: Iterable[Prediction], quantity: str) -> list[float]:
    return [p.errors[quantity] for p in given if quantity in p.errors]


def once_per_network(given: Iterable[Prediction], quantity: str) -> list[float]:
    """One error per network: the median of its rows' absolute errors."""
    by_network: dict[str, list[float]] = {}
    for one in given:
        by_network.setdefault(one.row.network, []).extend(errors_of([one], quantity))
    return [float(np.median(np.abs(errors))) for errors in by_network.values() if errors]


@dataclass(frozen=True)
class Epoch:
    """A reported epoch and the model's estimates of it under the vendor's rule.

    Args:
        reported: described by its shapes.
        alike: on as many accelerators as reported.
        default: on as many as the model takes by default.
    """

    reported: ReportedEpoch
    alike: EpochEstimate
    default: EpochEstimate


def estimates(path: Path = EPOCHS) -> list[Epoch]:
    """The hardware epochs of a report, each with what the model says.

    Raises:
        StorageError: if the file cannot be read.
        UsageError: if it is no such report.
    """
    found = []
    for reported in _reported(path):
        alike = estimate_epoch(reported, HARDWARE)
        default = estimate_epoch(reported, HARDWARE, accelerators=alike.default_accelerators)
        found.append(Epoch(reported, alike, default))
    return found


def _reported(path: Path) -> Sequence[ReportedEpoch]:
    try:
        reported = reported_epochs(path)
    except OSError as error:
        raise StorageError(
            f"The table {str(path)!r} cannot be read: {error.strerror}.",
            remedy="Give the path of a CSV file.",
        ) from error
    except KeyError as error:
        raise UsageError(
            f"{path.name} has no column {error}.",
            remedy="Its columns are those of data/README.md.",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{path.name} holds a value that cannot be ({error}).",
            remedy="Its columns are those of data/README.md.",
        ) from error
    if not reported:
        raise UsageError(f"{path.name} has no hardware epochs.", remedy="Give a table that has.")
    return reported


def share_near(pairs: Iterable[tuple[float, float]]) -> float:
    """How many of (model, vendor) pairs are within 10 %; both 0 counts as right."""
    return float(np.mean([abs(one - other) <= NEAR * other for one, other in pairs]))
