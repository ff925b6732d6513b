"""Vela's C++ core: network-wide options, and a schedule worth starting from.

It is run as a command, because it prints from native code and has no interface to a schedule.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from npu_tune.errors import CompilerError, CompilerTimeoutError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.base import Evaluation, Start
from npu_tune.targets.ethos_u.compiler.settings import Hardware
from npu_tune.targets.ethos_u.knobs import network_knobs, plan_of
from npu_tune.targets.ethos_u.plan import Block, Plan

TIMEOUT_S = 600
LABEL = "Vela C++ core, default (its own estimate)"
ARENA_LEVELS = 8


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

    def __init__(self, network: Network, hardware: Hardware) -> None:
        self._network, self._hardware = network, hardware

    @cached_property
    def _default(self) -> tuple[dict[str, float], str]:
        return self._run(Plan())

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """Counts and CPU operators as Vela prints them."""
        _, printed = self._default
        count = re.search(r"^NPU operators = (\d+)", printed, re.MULTILINE)
        listed = re.findall(r"^\s+CPU: (\S+) = (\S+)", printed, re.MULTILINE)
        return int(count[1]) if count else 0, tuple(" ".join(names) for names in listed)

    @cached_property
    def _space(self) -> SearchSpace:
        least, most = (self._run(Plan(s))[0]["sram_bytes"] for s in ("Size", "Performance"))
        step = (most - least) / (ARENA_LEVELS + 1)
        levels = [int(least + step * n) // 16 * 16 for n in range(1, ARENA_LEVELS + 1)]
        return SearchSpace(network_knobs(sorted(set(levels)) if step >= 1 else ()))

    def space(self) -> SearchSpace:
        """Strategy, arena limit and tensor allocator."""
        return self._space

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Compiles into a temporary folder."""
        return Evaluation(self._run(plan_of(configuration, ()))[0])

    def build(self, configuration: Configuration, path: Path) -> Evaluation:
        """Compiles and keeps the result."""
        return Evaluation(self._run(plan_of(configuration, ()), keep=path)[0])

    def starts(self) -> tuple[Start, ...]:
        """Every arena limit under Performance, and Size."""
        return network_starts(self.space())

    def references(self) -> Mapping[str, Mapping[str, float]]:
        """The default by this core's own estimate."""
        return {LABEL: self._default[0]}

    def schedule(self) -> tuple[PrintedOperator, ...]:
        """The schedule this core prints for its default."""
        return parse_schedule(self._default[1])

    def _run(self, plan: Plan, keep: Path | None = None) -> tuple[dict[str, float], str]:
        hardware = self._hardware
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / f"model.{self._network.format}"
            model.write_bytes(self._network.model_bytes)
            command = [
                sys.executable, "-m", "ethosu.vela", str(model),
                "--output-dir", folder,
                "--config", hardware.ini,
                "--accelerator-config", hardware.accelerator,
                "--system-config", hardware.system_config,
                "--memory-mode", hardware.memory_mode,
                "--optimise", plan.strategy,
                "--tensor-allocator", plan.allocator,
                "--verbose-schedule", "--show-cpu-operations",
            ]  # fmt: skip
            if plan.arena_limit is not None:
                command += ["--arena-cache-size", str(plan.arena_limit)]
            printed = _output(command)
            summary = Path(folder) / f"model_summary_{hardware.system_config}.csv"
            with summary.open(encoding="utf-8") as file:
                row = next(csv.DictReader(file))
            if keep is not None:
                keep.write_bytes((Path(folder) / "model_vela.tflite").read_bytes())
        return _figures(row, printed), printed


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CompilerTimeoutError(f"Vela took more than {TIMEOUT_S} s.") from error
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise CompilerError(f"Vela stopped with {done.returncode}: {lines[-1] if lines else ''}")
    return done.stdout


def _figures(row: Mapping[str, str], printed: str) -> dict[str, float]:
    def kib(*names: str) -> float:
        return sum(float(row[f"{name}_memory_used"]) * 1024 for name in names)

    def traffic(*names: str) -> float:
        return sum(float(row[f"{name}_total_bytes"]) for name in names)

    counts = [int(n) for n in re.findall(r"^[CN]PU operators = (\d+)", printed, re.MULTILINE)]
    cpu, npu = counts if len(counts) == 2 else (0, 0)
    return {
        "cycles": float(row["cycles_total"]),
        "full_cycles": float(row["cycles_total"]),
        "latency_ms": float(row["inference_time"]) * 1e3,
        "sram_bytes": kib("sram"),
        "flash_bytes": kib("on_chip_flash", "off_chip_flash"),
        "dram_bytes": kib("dram"),
        "traffic_off_chip_bytes": traffic("dram", "off_chip_flash"),
        "traffic_sram_bytes": traffic("sram"),
        "npu_share": npu / (npu + cpu) if npu + cpu else 0.0,
    }


def network_starts(space: SearchSpace) -> tuple[Start, ...]:
    """The vendor's own front: Size, and Performance at each arena limit."""
    limits = [v for v in space.by_name["network/arena_limit"].values if isinstance(v, int)]
    starts = [Start("Vela Size", space.configuration({"network/strategy": "Size"}))]
    starts += [
        Start(f"Vela arena {limit}", space.configuration({"network/arena_limit": limit}))
        for limit in limits
    ]
    return tuple(starts)


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
