"""From a run to metrics, a profile and notes."""

from __future__ import annotations

from collections.abc import Mapping

from npu_tune.targets.metrics import Evaluation, Goal, Kind, Metric
from npu_tune.targets.neural_art.compiler.placement import is_external
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.step import EpochCosts, Step
from npu_tune.targets.neural_art.hardware import Hardware

_S, _MIN = Kind.SIMULATED, Goal.MINIMIZE
METRICS = (
    Metric("latency_ms", "ms", _S, "one inference at the clock of the NPU", _MIN, objective=True),
    Metric(
        "ram_bytes",
        "bytes",
        _S,
        "the sum over RAM pools of what each must hold",
        _MIN,
        objective=True,
    ),
    Metric("cycles", "cycles", _S, "NPU cycles of one inference", _MIN),
    Metric("energy", "", _S, "relative: only ratios between configurations mean something", _MIN),
    Metric(
        "peak_live_bytes", "bytes", _S, "most bytes in use at one time, wherever they lie", _MIN
    ),
    Metric("internal_ram_bytes", "bytes", _S, "of ram_bytes, on the chip", _MIN),
    Metric("external_ram_bytes", "bytes", _S, "of ram_bytes, outside the chip", _MIN),
    Metric("flash_bytes", "bytes", _S, "weights and biases as stored", _MIN),
    Metric("traffic_ram_bytes", "bytes", _S, "read from and written to RAM on the chip", _MIN),
    Metric("traffic_external_bytes", "bytes", _S, "read from and written to RAM outside", _MIN),
    Metric("traffic_flash_bytes", "bytes", _S, "read from flash", _MIN),
    Metric("hardware_epochs", "", _S, "epochs on the accelerator"),
    Metric("software_epochs", "", _S, "epochs on the CPU"),
)


def evaluation_of(run: Run, hardware: Hardware) -> Evaluation:
    """Everything a run says."""
    steps, waits = run.steps, run.waits
    sums = EpochCosts(*map(sum, zip(*[step.costs for step in steps], strict=True)))
    cycles = sums.cycles + sum(waits)
    live = stored = parts = 0
    profile: dict[str, Mapping[str, float]] = {}
    notes: tuple[str, ...] = ()
    for number, (step, wait) in enumerate(zip(steps, waits, strict=True)):
        total = step.epoch.total
        stored += total.stored
        live = max(live, step.placement.live_bytes)
        if step.epoch.span.note:
            notes = (*notes, step.epoch.span.note)
        else:
            parts += total.parts
        rows = _waited(step, wait) if wait else dict(step.rows)
        profile |= {name: {**row, "epoch": number} for name, row in rows.items()}
    highest = tuple(map(max, run.beginning.marks, *[step.placement.marks for step in steps]))
    pools_inside = len(run.machine.memory.internal)
    inside, outside = sum(highest[:pools_inside]), sum(highest[pools_inside:])
    metrics = {
        "latency_ms": cycles / (hardware.clock_mhz * 1e3),
        "ram_bytes": float(inside + outside),
        "cycles": cycles,
        "energy": sums.energy + cycles * hardware.energy.idle_cycle,
        "peak_live_bytes": float(live),
        "internal_ram_bytes": float(inside),
        "external_ram_bytes": float(outside),
        "flash_bytes": float(stored),
        "traffic_ram_bytes": sums.ram_bytes,
        "traffic_external_bytes": sums.external_bytes,
        "traffic_flash_bytes": float(sums.flash_bytes),
        "hardware_epochs": float(parts),
        "software_epochs": float(len(notes)),
    }
    return Evaluation(metrics, profile, (*notes, *(_spilled(run) if outside else ())))


def _waited(step: Step, wait: float) -> dict[str, Mapping[str, float]]:
    """The rows of an epoch that had to wait for its weights; they share that as the rest."""
    cycles = step.costs.cycles
    longer = wait / cycles if cycles else 0.0
    return {
        name: row | {"cycles": row["cycles"] * (1 + longer), "wait_cycles": row["cycles"] * longer}
        for name, row in step.rows
    }


def _spilled(run: Run) -> tuple[str, ...]:
    """What lies in external RAM, with how much of it."""
    machine = run.machine
    blocks = (
        *machine.live(run.beginning.state),
        *(b for step in run.steps for b in step.placement.placed),
    )
    return tuple(
        f"{block.name} lies in external RAM ({block.end - block.start} bytes)"
        for block in blocks
        if is_external(machine.memory.pool_at(block.start))
    )
