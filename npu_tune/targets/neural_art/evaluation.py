"""From a run to metrics, a profile and notes."""

from __future__ import annotations

from collections.abc import Mapping

from npu_tune.targets.base import Evaluation, Kind, Metric
from npu_tune.targets.neural_art.compiler.placement import is_external
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.hardware import Hardware

_S = Kind.SIMULATED
METRICS = (
    Metric("latency_ms", "ms", _S, "one inference at the clock of the NPU"),
    Metric("ram_bytes", "bytes", _S, "the sum over RAM pools of what each must hold"),
    Metric("cycles", "cycles", _S, "NPU cycles of one inference"),
    Metric("energy", "", _S, "relative: only ratios between configurations mean something"),
    Metric("peak_live_bytes", "bytes", _S, "most bytes in use at one time, wherever they lie"),
    Metric("internal_ram_bytes", "bytes", _S, "of ram_bytes, on the chip"),
    Metric("external_ram_bytes", "bytes", _S, "of ram_bytes, outside the chip"),
    Metric("flash_bytes", "bytes", _S, "weights and biases as stored"),
    Metric("traffic_ram_bytes", "bytes", _S, "read from and written to RAM on the chip"),
    Metric("traffic_external_bytes", "bytes", _S, "read from and written to RAM outside"),
    Metric("traffic_flash_bytes", "bytes", _S, "read from flash"),
    Metric("hardware_epochs", "", _S, "epochs on the accelerator"),
    Metric("software_epochs", "", _S, "epochs on the CPU"),
)


def evaluation_of(run: Run, hardware: Hardware) -> Evaluation:
    """Everything a run says."""
    steps = run.steps
    cycles = sum(step.cycles for step in steps) + sum(run.waits)
    marks = [run.machine.first_marks, *(step.marks for step in steps)]
    highest = [max(column) for column in zip(*marks, strict=True)]
    pools = run.machine.memory.pools
    inside = len(hardware.internal)
    software = sum(step.epoch.software for step in steps)
    metrics = {
        "latency_ms": cycles / (hardware.clock_mhz * 1e3),
        "ram_bytes": float(sum(highest)),
        "cycles": cycles,
        "energy": sum(step.energy for step in steps) + cycles * hardware.energy.idle_cycle,
        "peak_live_bytes": float(max(step.live_bytes for step in steps)),
        "internal_ram_bytes": float(sum(highest[:inside])),
        "external_ram_bytes": float(sum(highest[inside:])),
        "flash_bytes": float(sum(d.stored for step in steps for d in step.epoch.demands)),
        "traffic_ram_bytes": sum(step.ram_bytes for step in steps),
        "traffic_external_bytes": sum(step.external_bytes for step in steps),
        "traffic_flash_bytes": float(sum(step.flash_bytes for step in steps)),
        "hardware_epochs": float(
            sum(step.epoch.total.parts for step in steps if not step.epoch.software)
        ),
        "software_epochs": float(software),
    }
    notes = _spilled(run) if len(pools) > inside and highest[inside:] != [0] else ()
    return Evaluation(metrics, _profile(run), (*_on_cpu(run), *notes))


def _profile(run: Run) -> dict[str, Mapping[str, float]]:
    """One row per operation; those of one epoch share its cycles by their own units' cycles."""
    operations = run.machine.graph.operations
    profile: dict[str, Mapping[str, float]] = {}
    for step, wait in zip(run.steps, run.waits, strict=True):
        epoch = step.epoch
        total = sum(demand.compute for demand in epoch.demands)
        count = len(epoch.demands)
        for operation, demand in zip(
            operations[epoch.first : epoch.last + 1], epoch.demands, strict=True
        ):
            share = demand.compute / total if total else 1 / count
            profile[operation.name] = {
                "cycles": (step.cycles + wait) * share,
                "compute_cycles": demand.compute,
                "ram_cycles": step.ram_cycles * share,
                "flash_cycles": step.flash_cycles * share,
                "wait_cycles": wait * share,
                "macs": operation.macs,
                "live_bytes": step.live_bytes,
                "flash_bytes": demand.stored,
            }
    return profile


def _on_cpu(run: Run) -> tuple[str, ...]:
    operations = run.machine.graph.operations
    return tuple(
        f"{operations[step.epoch.first].name} runs on the CPU: "
        f"{operations[step.epoch.first].software_reason}"
        for step in run.steps
        if step.epoch.software
    )


def _spilled(run: Run) -> tuple[str, ...]:
    """What lies in external RAM, with how much of it."""
    memory = run.machine.memory
    return tuple(
        f"{block.name} lies in external RAM ({block.end - block.start} bytes)"
        for step in run.steps
        for block in step.placed
        if is_external(memory.pool_at(block.start))
    )
