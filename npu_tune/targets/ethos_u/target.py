"""One Ethos-U in one system, as a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import MissingExtraError, ModelError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.about import write_about
from npu_tune.targets.base import Artifact, Evaluation, Kind, Metric, Start

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.cores import Core

VELA = "5.2.0"
"""The version whose internals are driven."""

FIGURES = "1"
"""Raised whenever the same configuration gets other figures or a knob another meaning."""

_E = Kind.ESTIMATED
METRICS = (
    Metric(
        "full_cycles",
        "cycles",
        _E,
        "cycles, and copying weights inside cascades, which Vela's estimate leaves out",
    ),
    Metric("sram_bytes", "bytes", _E, "peak SRAM: feature maps, buffers and what Vela puts there"),
    Metric("cycles", "cycles", _E, "Vela's estimate of one inference; CPU operators left out"),
    Metric("latency_ms", "ms", _E, "cycles at the system's clock"),
    Metric("flash_bytes", "bytes", _E, "constants and command stream in flash"),
    Metric("dram_bytes", "bytes", _E, "constants, command stream and feature maps in DRAM"),
    Metric("traffic_off_chip_bytes", "bytes", _E, "read from and written to flash and DRAM"),
    Metric("traffic_sram_bytes", "bytes", _E, "read from and written to SRAM"),
    Metric("npu_share", "", _E, "operators that run on the NPU, of all"),
)


@dataclass(frozen=True, slots=True)
class EthosUTarget:
    """An accelerator, its system config and memory mode.

    Ethos-U55 and U65 are compiled by Vela's Python core, which has per-operator choices.
    Ethos-U85, and TOSA networks on any accelerator, are compiled by the C++ core with
    network-wide choices only. All figures are Vela's own estimate.

    Args:
        accelerator: as Vela's ``--accelerator-config``.
        system_config: section of the ini file.
        memory_mode: section of the ini file.
        ini: path of the ini file.
        ini_sha256: of its text.
        allow_cpu: accept operators that stay on the CPU.
    """

    accelerator: str
    system_config: str
    memory_mode: str
    ini: str
    ini_sha256: str
    allow_cpu: bool = False

    @property
    def name(self) -> str:
        """As Vela spells the accelerator."""
        return self.accelerator

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Vela's estimate; cycles and SRAM first."""
        return METRICS

    def check(self, network: Network) -> None:
        """Refuses what would not run on the NPU.

        Raises:
            ModelError: for a float network, a format Vela does not read, or operators that
                would stay on the CPU where that is not allowed.
        """
        npu, cpu = self._core(network).operators()
        if npu and (self.allow_cpu or not cpu):
            return
        if network.is_float and not npu:
            raise ModelError(
                f"{network.name!r} is a floating-point network; an Ethos-U computes integers "
                "only, and nothing of it would run there.",
                remedy="Quantise it to int8, from ONNX with `npu-tune convert`.",
            )
        listed = ", ".join(cpu[:5]) + (f" and {len(cpu) - 5} more" if len(cpu) > 5 else "")
        raise ModelError(
            f"{len(cpu)} operators of {network.name!r} would stay on the CPU: {listed}.",
            remedy="Replace them, or accept them with allow_cpu = true; Vela's figures leave "
            "their time out."
            if npu
            else "Nothing would run on the NPU.",
            cpu_operators=list(cpu),
        )

    def space(self, network: Network) -> SearchSpace:
        """Network-wide knobs and, with the Python core, those of each operator."""
        return self._core(network).space()

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        """Everything a build does but for writing files."""
        return self._core(network).evaluate(configuration)

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        """Writes the compiled network, the configuration and its figures."""
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / f"{network.name}_{self.accelerator}.tflite"
        evaluation = self._core(network).build(configuration, model)
        about = write_about(
            folder, self, network, configuration, evaluation=evaluation, kind=Kind.ESTIMATED
        )
        return Artifact({"model": model, "configuration": about}, evaluation)

    def starts(self, network: Network) -> tuple[Start, ...]:
        """The vendor's own front, the C++ core's schedule and what they suggest together."""
        return self._core(network).starts()

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        """The default of Vela's C++ core by its own estimate, which counts differently."""
        return self._core(network).references()

    def fingerprint(self) -> Mapping[str, str]:
        """Compiler, system and options."""
        return {
            "compiler": f"ethos-u-vela {installed_vela()}",
            "accelerator": self.accelerator,
            "system_config": self.system_config,
            "memory_mode": self.memory_mode,
            "config_sha256": self.ini_sha256,
            "figures": FIGURES,
            "allow_cpu": str(self.allow_cpu).lower(),
        }

    def _core(self, network: Network) -> Core:
        installed_vela()
        from npu_tune.targets.ethos_u.cores import core_for  # noqa: PLC0415

        return core_for(self, network)


def installed_vela() -> str:
    """The installed version of Vela.

    Raises:
        MissingExtraError: where it is absent or not the one whose internals are driven.
    """
    try:
        found = version("ethos-u-vela")
    except PackageNotFoundError:
        found = "no version"
    if found != VELA:
        raise MissingExtraError(
            f"Vela {VELA} is needed and {found} is installed.",
            remedy="Install npu-tune[ethos-u].",
        )
    return found
