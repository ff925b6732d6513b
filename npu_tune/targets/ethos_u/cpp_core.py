"""Vela's C++ core: network-wide options, and a schedule worth starting from.

It is run as a command, because it prints from native code and has no interface to a schedule.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from npu_tune.errors import CompilerError, CompilerTimeoutError, ModelError
from npu_tune.network import Network
from npu_tune.targets.ethos_u.plan import Block, NetworkPlan
from npu_tune.targets.ethos_u.system import System
from npu_tune.targets.metrics import Evaluation

TIMEOUT_S = 600
"""Most networks take seconds; what takes this long will not end."""


@dataclass(frozen=True, slots=True)
class PrintedOperator:
    """One operator of the schedule that the C++ core prints.

    Args:
        shape: height, width and depth of the OFM.
        block: its OFM block; None where it prints none.
        stripe_height: rows of the OFM per stripe.
        cascade: the number of its cascade; 0 where it is in none.
        slices: boundaries of its weight slices in output channels.
        buffering: ``Single``, ``Double`` or "".
    """

    shape: Block
    block: Block | None = None
    stripe_height: int = 0
    cascade: int = 0
    slices: tuple[int, ...] = ()
    buffering: str = ""


class CppCore:
    """Compiles a network by Vela's command line, without the option for the Python core."""

    def __init__(self, network: Network, system: System) -> None:
        self._network, self._system = network, system

    @cached_property
    def _default(self) -> tuple[dict[str, float], str]:
        return self.run(NetworkPlan())

    @property
    def default(self) -> Mapping[str, float]:
        """Metrics of what this core makes by default."""
        return self._default[0]

    def schedule(self) -> tuple[PrintedOperator, ...]:
        """The schedule this core prints for its default."""
        return parse_schedule(self._default[1])

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """How many operators run on the NPU, and those that stay on the CPU.

        Raises:
            ModelError: where Vela cannot compile the network at all.
        """
        try:
            _, printed = self._default
        except CompilerError as error:
            raise ModelError(
                f"Vela cannot compile {self._network.name!r}: {error.data['words']}.",
                remedy="Convert the network again, with the operators that Vela supports.",
            ) from error
        return parse_operators(printed)

    def evaluate(self, plan: NetworkPlan, *, keep: Path | None = None) -> Evaluation:
        """Compiles a plan; its choices for single operators are left to this core.

        Args:
            plan: what is asked of Vela.
            keep: where to write the compiled network; None for nowhere.
        """
        metrics, printed = self.run(plan, keep)
        return Evaluation(metrics, notes=cpu_notes(parse_operators(printed)[1]))

    def run(self, plan: NetworkPlan, keep: Path | None = None) -> tuple[dict[str, float], str]:
        """Compiles a plan; returns metrics by name and all that Vela prints."""
        system = self._system
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / f"model.{self._network.format}"
            model.write_bytes(self._network.model_bytes)
            command = [
                sys.executable, "-m", "ethosu.vela", str(model),
                "--output-dir", folder,
                "--config", system.ini,
                "--accelerator-config", system.accelerator,
                "--system-config", system.system_config,
                "--memory-mode", system.memory_mode,
                "--optimise", plan.strategy,
                "--tensor-allocator", plan.allocator,
                "--verbose-schedule", "--show-cpu-operations",
            ]  # fmt: skip
            if plan.arena_limit is not None:
                command += ["--arena-cache-size", str(plan.arena_limit)]
            printed = _output(command)
            summary = Path(folder) / f"model_summary_{system.system_config}.csv"
            with summary.open(encoding="utf-8") as file:
                row = next(csv.DictReader(file))
            if keep is not None:
                keep.write_bytes((Path(folder) / "model_vela.tflite").read_bytes())
        return _metrics(row, printed), printed


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
        raise CompilerError(f"Vela stopped: {words}", words=words)
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


def parse_operators(printed: str) -> tuple[int, tuple[str, ...]]:
    """Reads what ``--show-cpu-operations`` prints.

    Returns:
        how many operators run on the NPU, and those that stay on the CPU as ``type name``. The
        type is the compiler's own, which is ``Passthrough`` for most of what it leaves alone.
    """
    npu = re.search(r"^NPU operators = (\d+)", printed, re.MULTILINE)
    cpu = re.findall(r"^ +CPU: (.+?)(?: \(outputs .*)?$", printed, re.MULTILINE)
    return int(npu[1]) if npu else 0, tuple(text.replace(" = ", " ", 1) for text in cpu)


def cpu_notes(operators: Iterable[str]) -> tuple[str, ...]:
    """What an evaluation notes of operators that stay on the CPU."""
    return tuple(f"on the CPU: {name}" for name in operators)


def parse_schedule(printed: str) -> tuple[PrintedOperator, ...]:
    """Reads the first schedule out of what ``--verbose-schedule`` prints."""
    operators: list[PrintedOperator] = []
    started = False
    for line in printed.splitlines():
        if line.startswith("Schedule:"):
            if started:
                break
            started = True
            continue
        if not started:
            continue
        found = re.match(r"\s+\d+: Operation \S+\s+- OFM ([\d, ]+)", line)
        if found:
            operators.append(PrintedOperator(_last_three(found[1])))
        elif operators:
            operators[-1] = _with_line(operators[-1], line.strip())
    return tuple(operators)


def _with_line(operator: PrintedOperator, line: str) -> PrintedOperator:
    if found := re.match(r"Operator Config = OFM Block=\[([\d, ]+)\]", line):
        return replace(operator, block=_last_three(found[1]))
    if found := re.match(r"OFM Stripe\s+= \[([\d, ]+)\]", line):
        return replace(operator, stripe_height=_last_three(found[1])[0])
    if found := re.match(r"Assigned Cascade = (\d+)", line):
        return replace(operator, cascade=int(found[1]))
    if found := re.match(r"Weight buffer = .*\((\w+)\)", line):
        return replace(operator, buffering=found[1])
    if found := re.match(r"Depth slices = \[([\d, ]+)\]", line):
        return replace(operator, slices=tuple(int(n) for n in found[1].split(",")))
    return operator


def _last_three(text: str) -> Block:
    numbers = [1, 1, 1, *(int(n) for n in text.split(",") if n.strip())]
    return numbers[-3], numbers[-2], numbers[-1]
