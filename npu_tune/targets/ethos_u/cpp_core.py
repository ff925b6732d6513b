"""Vela's C++ core: network-wide options, and a schedule worth starting from.

It is run as a command, because it prints from native code and has no interface to a schedule.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from npu_tune.errors import (
    CompilerError,
    CompilerTimeoutError,
    EvaluationError,
    ModelError,
)
from npu_tune.network import Network
from npu_tune.targets.ethos_u.command import vela_options
from npu_tune.targets.ethos_u.knobs import arena_levels
from npu_tune.targets.ethos_u.plan import NetworkPlan
from npu_tune.targets.ethos_u.printed import PrintedOperator, parse_operators, parse_schedule
from npu_tune.targets.ethos_u.system import STOPPED, System
from npu_tune.targets.metrics import Evaluation

TIMEOUT_S = 600
"""Most networks take seconds; what takes this long will not end."""


@dataclass(frozen=True, slots=True)
class CppPoint:
    """A point of the C++ core's front.

    Args:
        name: ``default``, ``Size`` or the arena limit.
        metrics: by its own estimate.
        schedule: as it prints it.
    """

    name: str
    metrics: Mapping[str, float]
    schedule: tuple[PrintedOperator, ...]


class CppCore:
    """Compiles a network by Vela's command line, without the option for the Python core."""

    def __init__(self, network: Network, system: System) -> None:
        self._network, self._system = network, system
        self._runs: dict[tuple[str, int | None], tuple[dict[str, float], str]] = {}

    @property
    def default(self) -> Mapping[str, float]:
        """Metrics of what this core makes by default."""
        return self._known(NetworkPlan())[0]

    @cached_property
    def front(self) -> Mapping[str, NetworkPlan]:
        """What the vendor offers, by name: the default, Size, and Performance at arena limits."""
        least, most = self._known(NetworkPlan("Size"))[0], self.default
        limits = arena_levels(least["sram_bytes"], most["sram_bytes"])
        return {
            "default": NetworkPlan(),
            "Size": NetworkPlan("Size"),
            **{f"arena {limit}": NetworkPlan(arena_limit=limit) for limit in limits},
        }

    def points(self) -> Iterator[CppPoint]:
        """The front, point by point, each compiled when it is asked for and once.

        Left out is what this core cannot compile.
        """
        with contextlib.suppress(EvaluationError):
            for name, plan in self.front.items():
                with contextlib.suppress(EvaluationError):
                    metrics, printed = self._known(plan)
                    yield CppPoint(name, metrics, parse_schedule(printed))

    def _known(self, plan: NetworkPlan) -> tuple[dict[str, float], str]:
        key = (plan.strategy, plan.arena_limit)
        if key not in self._runs:
            self._runs[key] = self.run(plan)
        return self._runs[key]

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """How many operators run on the NPU, and those that stay on the CPU.

        Raises:
            ModelError: where Vela cannot compile the network at all.
        """
        try:
            _, printed = self._known(NetworkPlan())
        except CompilerError as error:
            raise ModelError(
                f"Vela cannot compile {self._network.name!r}: {error.data['words']}.",
                remedy="Convert the network again, with the operators that Vela supports.",
            ) from error
        return parse_operators(printed)

    def evaluate(self, plan: NetworkPlan) -> Evaluation:
        """Compiles a plan; its choices for single operators are left to this core."""
        metrics, printed = self.run(plan)
        return Evaluation(metrics, notes=cpu_notes(parse_operators(printed)[1]))

    def write(self, plan: NetworkPlan, path: Path) -> tuple[Evaluation, dict[str, Path]]:
        """Compiles a plan and writes the result, and Vela's own tables of it beside.

        Args:
            plan: what is asked of Vela.
            path: of the compiled network.

        Returns:
            the evaluation, and paths of the tables by role.
        """
        name = self._network.name
        with tempfile.TemporaryDirectory() as folder:
            metrics, printed = self._run(plan, Path(folder), name, "--verbose-performance")
            shutil.copyfile(Path(folder) / f"{name}_vela.tflite", path)
            tables = {
                "vendor_layers": path.with_name(f"{name}_per-layer.csv"),
                "vendor_summary": path.with_name(self._summary(name)),
            }
            for table in tables.values():
                shutil.copyfile(Path(folder) / table.name, table)
        return Evaluation(metrics, notes=cpu_notes(parse_operators(printed)[1])), tables

    def run(self, plan: NetworkPlan) -> tuple[dict[str, float], str]:
        """Compiles a plan; returns metrics by name and all that Vela prints."""
        with tempfile.TemporaryDirectory() as folder:
            return self._run(plan, Path(folder), "model")

    def _run(
        self, plan: NetworkPlan, folder: Path, name: str, *more: str
    ) -> tuple[dict[str, float], str]:
        model = folder / f"{name}.{self._network.format}"
        model.write_bytes(self._network.model_bytes)
        command = [
            sys.executable, "-m", "ethosu.vela", str(model),
            "--output-dir", str(folder),
            *vela_options(self._system, plan, ini=self._system.ini),
            "--verbose-schedule", "--show-cpu-operations", *more,
        ]  # fmt: skip
        printed = _output(command)
        with (folder / self._summary(name)).open(encoding="utf-8") as file:
            row = next(csv.DictReader(file))
        return _metrics(row, printed), printed

    def _summary(self, name: str) -> str:
        return f"{name}_summary_{self._system.system_config}.csv"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CompilerTimeoutError(f"Vela took more than {TIMEOUT_S} s.") from error
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        last = lines[-1] if lines else f"it ended with {done.returncode}"
        words = last.removeprefix(" - ").rstrip(".")
        raise CompilerError(f"Vela stopped: {words}", remedy=STOPPED, words=words)
    return done.stdout


def _metrics(row: Mapping[str, str], printed: str) -> dict[str, float]:
    """Metric by name from Vela's summary, whose memory is in KiB.

    This core does not tell which transfers it hides, so ``full_cycles`` is its own total.
    """

    def used(*names: str) -> float:
        return sum(float(row[f"{name}_memory_used"]) * 1024 for name in names)

    def traffic(*names: str) -> float:
        return sum(float(row[f"{name}_total_bytes"]) for name in names)

    npu, listed = parse_operators(printed)
    every = npu + len(listed)
    return {
        "cycles": float(row["cycles_total"]),
        "full_cycles": float(row["cycles_total"]),
        "latency_ms": float(row["inference_time"]) * 1e3,
        "sram_bytes": used("sram"),
        "flash_bytes": used("on_chip_flash", "off_chip_flash"),
        "dram_bytes": used("dram"),
        "traffic_off_chip_bytes": traffic("dram", "off_chip_flash"),
        "traffic_sram_bytes": traffic("sram"),
        "npu_share": npu / every if every else 0.0,
    }


def cpu_notes(operators: Iterable[str]) -> tuple[str, ...]:
    """What an evaluation notes of operators that stay on the CPU."""
    return tuple(f"on the CPU: {name}" for name in operators)
