"""The three devices: how each is tuned, and what of it is deployed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import npu_tune
from npu_tune.errors import UsageError
from npu_tune.targets import Artifact
from npu_tune.tuning import StudyResult, TrialRecord


@dataclass(frozen=True)
class Device:
    """A target, and which of its metrics say what the customer asks for.

    Args:
        title: for people.
        target: its name.
        time: metric that is minimised.
        memory: metric that is limited.
        evaluations: budget of its study.
        options: of the target.
        is_float: whether it takes the float ONNX file; else the int8 TFLite file.
        is_measured: whether its numbers, accuracy included, are measured on this machine.
        energy: metric of the energy; None where the target tells none.
    """

    title: str
    target: str
    time: str
    memory: str
    evaluations: int
    options: Mapping[str, Any] = field(default_factory=dict)
    is_float: bool = False
    is_measured: bool = False
    energy: str | None = None

    @property
    def folder(self) -> str:
        """A name for its files."""
        return "-".join([self.target, *self.options])


DEVICES = (
    Device("Ethos-U55, 128 MAC", "ethos-u55-128", "full_cycles", "sram_bytes", 300),
    Device(
        "STM32N6, all choices",
        "neural-art-stm32n6",
        "latency_ms",
        "ram_bytes",
        500,
        energy="energy",
    ),
    Device(
        "STM32N6, deployable",
        "neural-art-stm32n6",
        "latency_ms",
        "ram_bytes",
        500,
        options={"deployable": True},
        is_float=True,
        energy="energy",
    ),
    Device(
        "CPU",
        "cpu-onnxruntime",
        "latency_ratio",
        "peak_memory_bytes",
        50,
        is_float=True,
        is_measured=True,
    ),
)
"""The STM32N6 stands twice: with all that its model can choose, which is simulated and not for
flashing, and with what a person with a board can carry over to the vendor's tools."""


@dataclass(frozen=True)
class Limits:
    """What the customer allows on every device.

    Args:
        accuracy_loss: of the float network's accuracy, 0.01 for a percentage point.
        memory_share: of the memory that the default compilation needs there.
    """

    accuracy_loss: float = 0.01
    memory_share: float = 0.75

    def __post_init__(self) -> None:
        if not 0.0 <= self.accuracy_loss <= 1.0:
            raise UsageError(
                f"The allowed loss of accuracy is {self.accuracy_loss:g}.",
                remedy="Give a share from 0 to 1, 0.01 for a percentage point.",
            )
        if not 0.0 < self.memory_share < math.inf:
            raise UsageError(
                f"The allowed share of memory is {self.memory_share:g}.",
                remedy="Give a number above 0, 0.75 for three quarters.",
            )

    def memory_bytes(self, default: float) -> int:
        """The greatest number of bytes that is allowed."""
        return math.floor(self.memory_share * default)


@dataclass(frozen=True)
class Inputs:
    """Files that a device is tuned with: networks, typical inputs, labelled ones."""

    float_model: Path
    int8_model: Path
    calibration: Path
    labelled: Path


@dataclass(frozen=True)
class Tuned:
    """A device's study and what was exported of it.

    Args:
        device: the device.
        result: its study.
        chosen: the best trial; where no trial meets the limits, the one that comes closest.
        artifact: its files.
        memory_limit: in bytes.
    """

    device: Device
    result: StudyResult
    chosen: TrialRecord
    artifact: Artifact
    memory_limit: int

    @property
    def baseline(self) -> TrialRecord:
        """The default compilation."""
        if self.result.baseline is None:  # a study without one ends with an error
            raise RuntimeError("The study has no baseline.")
        return self.result.baseline


def tune_device(
    device: Device, inputs: Inputs, limits: Limits, folder: Path, *, evaluations: int | None = None
) -> Tuned:
    """Tunes a network for a device under the limits, and exports the result.

    One worker, so that the same inputs give the same search where evaluations repeat.

    Args:
        device: what is tuned for.
        inputs: networks and data.
        limits: the customer's.
        folder: gets the folders ``DEVICE/study`` and ``DEVICE/deploy``.
        evaluations: instead of the device's own budget.

    Raises:
        NpuTuneError: if networks or data do not fit the target.
    """
    model = inputs.float_model if device.is_float else inputs.int8_model
    options, calibration = dict(device.options), None
    if device.is_measured:
        options["data"], calibration = str(inputs.labelled.resolve()), inputs.calibration
    default = npu_tune.evaluate(model, device.target, options=options, calibration=calibration)
    limit = limits.memory_bytes(default.metrics[device.memory])
    bounds: dict[str, str | float] = {device.memory: limit}
    if device.is_measured:
        # The others all compute what the int8 file computes, whose accuracy is one number.
        bounds["accuracy_drop"] = limits.accuracy_loss
    study = folder / device.folder / "study"
    result = npu_tune.tune(
        model,
        device.target,
        study=study,
        options=options,
        calibration=calibration,
        objective=device.time,
        limits=bounds,
        evaluations=evaluations or device.evaluations,
        workers=1,
    )
    chosen = result.best or result.least_infeasible
    if chosen is None:
        raise RuntimeError("The study evaluated nothing.")
    pick = "best" if result.best else str(chosen.number)
    artifact = npu_tune.export(study, folder / device.folder / "deploy", pick=pick)
    return Tuned(device, result, chosen, artifact, limit)


def milliseconds(device: Device, metrics: Mapping[str, float]) -> float:
    """Time of an inference; where cycles are optimised, those at the clock that the target states."""
    if device.time.endswith("cycles"):
        return metrics[device.time] * metrics["latency_ms"] / metrics["cycles"]
    return metrics["latency_ms"]
