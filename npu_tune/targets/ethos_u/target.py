"""One Ethos-U in one system, as a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from npu_tune.errors import MissingExtraError
from npu_tune.network import Network
from npu_tune.targets.ethos_u.system import System
from npu_tune.targets.metrics import Goal, Kind, Metric

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.problem import EthosUProblem

VELA = "5.2.0"
"""The version whose internals are driven."""

METRICS_VERSION = "1"
"""Raised whenever the same configuration gets other metrics or a knob another meaning."""

_E, _MIN = Kind.ESTIMATED, Goal.MINIMIZE
METRICS = (
    Metric(
        "full_cycles",
        "cycles",
        _E,
        "cycles, and copying weights inside cascades, which Vela's estimate leaves out",
        _MIN,
        objective=True,
        stated="cycles",
    ),
    Metric(
        "sram_bytes",
        "bytes",
        _E,
        "peak SRAM: feature maps, buffers and what Vela puts there",
        _MIN,
        objective=True,
    ),
    Metric(
        "cycles", "cycles", _E, "Vela's estimate of one inference; CPU operators left out", _MIN
    ),
    Metric("latency_ms", "ms", _E, "cycles at the system's clock", _MIN),
    Metric(
        "flash_bytes", "bytes", _E, "constants and command stream in flash", _MIN, on_request=True
    ),
    Metric(
        "dram_bytes",
        "bytes",
        _E,
        "constants, command stream and feature maps in DRAM",
        _MIN,
        on_request=True,
    ),
    Metric("traffic_off_chip_bytes", "bytes", _E, "read from and written to flash and DRAM", _MIN),
    Metric("traffic_sram_bytes", "bytes", _E, "read from and written to SRAM", _MIN),
    Metric("npu_share", "", _E, "operators that run on the NPU, of all", Goal.MAXIMIZE),
)


@dataclass(frozen=True, slots=True)
class EthosUTarget:
    """An accelerator, its system config and memory mode.

    Ethos-U55 and U65 are compiled by Vela's Python core, which has per-operator choices.
    Ethos-U85, and TOSA networks on any accelerator, are compiled by the C++ core with
    network-wide choices only. All metrics are Vela's own estimate.

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
        """Vela's estimate; cycles and SRAM are the objectives."""
        return METRICS

    @property
    def system(self) -> System:
        """The same in Vela's words."""
        return System(self.accelerator, self.system_config, self.memory_mode, self.ini)

    def bind(self, network: Network) -> EthosUProblem:
        """Runs the front end of the core that compiles the network.

        Raises:
            ModelError: for a float network, a format Vela does not read, or operators that
                would stay on the CPU where that is not allowed.
            MissingExtraError: where Vela is not installed.
        """
        installed_vela()
        from npu_tune.targets.ethos_u.binding import make_problem  # noqa: PLC0415 -- needs Vela

        return make_problem(self, network, self.system, allow_cpu=self.allow_cpu)

    def fingerprint(self) -> Mapping[str, str]:
        """Compiler, system and options."""
        return {
            "compiler": f"ethos-u-vela {installed_vela()}",
            "accelerator": self.accelerator,
            "system_config": self.system_config,
            "memory_mode": self.memory_mode,
            "config_sha256": self.ini_sha256,
            "figures": METRICS_VERSION,
            "allow_cpu": str(self.allow_cpu).lower(),
        }


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
