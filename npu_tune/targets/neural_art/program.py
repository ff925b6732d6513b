"""The compiled program as a document: epochs on a timeline, buffers, weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from npu_tune.targets.neural_art.compiler.choice import DIMC, NEUTRAL
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT, Block
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.step import Step
from npu_tune.targets.neural_art.hardware import Hardware

FORMAT = "npu-tune/neural-art-program"
VERSION = 1


def program_document(run: Run, hardware: Hardware) -> dict[str, Any]:
    """A run as JSON: what a code generator or a person needs of it.

    Epochs stand in the order in which they run; ``start_cycle`` counts from the start of the
    inference. Buffers are in use from ``first_epoch`` to ``last_epoch``, both included; an input
    is in use from epoch 0 on, preloaded weights from the epoch before the one that needs them.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "hardware": hardware.name,
        "clock_mhz": hardware.clock_mhz,
        "pools": _pools(run),
        "epochs": _epochs(run),
        "buffers": list(_buffers(run)),
        "weights": _weights(run, hardware),
    }


def _pools(run: Run) -> list[dict[str, Any]]:
    marks = [run.beginning.marks, *(step.marks for step in run.steps)]
    used = [max(column) for column in zip(*marks, strict=True)]
    return [
        {
            "name": pool.name,
            "kind": str(pool.kind),
            "address": pool.base,
            "size_bytes": pool.size_bytes,
            "used_bytes": most,
        }
        for pool, most in zip(run.machine.memory.pools, used, strict=True)
    ]


def _epochs(run: Run) -> list[dict[str, Any]]:
    lengths = [
        step.cycles + next_wait
        for step, next_wait in zip(run.steps, (*run.waits[1:], 0.0), strict=True)
    ]
    # Weights arrive while the epoch before runs; the first epoch's have none to hide behind.
    starts = accumulate(lengths, initial=run.waits[0] if run.waits else 0.0)
    return [
        {
            "index": index,
            "layers": [
                operation.name
                for operation in run.machine.graph.operations[
                    step.epoch.first : step.epoch.last + 1
                ]
            ],
            "unit": _unit(step),
            "start_cycle": start,
            "cycles": step.cycles,
            "waits_for_weights_cycles": wait,
            "compute_cycles": step.costs.compute_cycles,
            "ram_cycles": step.costs.ram_cycles,
            "flash_cycles": step.costs.flash_cycles,
            "parts": step.epoch.total.parts,
            "reads": [name for name, _ in step.epoch.span.inputs],
            "writes": step.epoch.span.output,
            "also_writes": [name for name, _ in step.epoch.span.further],
            "flash_bytes": step.costs.flash_bytes,
            "choices": _choices(run, step),
        }
        for index, (step, start, wait) in enumerate(
            zip(run.steps, starts, run.waits, strict=False)
        )
    ]


def _unit(step: Step) -> str:
    if step.epoch.software:
        return "cpu"
    return DIMC if step.epoch.choices[0].unit == DIMC else "npu"


def _choices(run: Run, step: Step) -> dict[str, Mapping[str, Any]]:
    """Per layer, what differs from doing nothing special."""
    operations = run.machine.graph.operations[step.epoch.first : step.epoch.last + 1]
    neutral = NEUTRAL._asdict()
    return {
        operation.name: {
            name: value for name, value in choice._asdict().items() if value != neutral[name]
        }
        for operation, choice in zip(operations, step.epoch.choices, strict=True)
    }


def _buffers(run: Run) -> Iterator[dict[str, Any]]:
    """Every block with its place and the epochs in which it is in use."""
    epoch_of = {
        position: index
        for index, step in enumerate(run.steps)
        for position in range(step.epoch.first, step.epoch.last + 1)
    }
    end = len(run.steps) - 1
    for block in run.machine.live(run.beginning.state):
        kind = "state" if block.name in run.machine.graph.outputs else "input"
        yield _buffer(run, block, kind, 0, epoch_of.get(block.last, end))
    for index, step in enumerate(run.steps):
        for block in step.placement.placed:
            last = epoch_of.get(block.last, end)
            if block.name in run.machine.graph.maps:
                yield _buffer(run, block, "feature_map", index, max(index, last))
            elif step.epoch.total.buffer and block is step.placement.placed[1]:
                yield _buffer(run, block, "weights", max(index - 1, 0), index)
            else:
                yield _buffer(run, block, "partial_sums", index, index)


def _buffer(run: Run, block: Block, kind: str, first: int, last: int) -> dict[str, Any]:
    memory = run.machine.memory
    pools = [memory.pools[index].name for index, _ in memory.where(block.start, block.end).pieces]
    return {
        "name": block.name,
        "kind": kind,
        "pools": pools,
        "address": block.start,
        "size_bytes": block.end - block.start,
        "first_epoch": first,
        "last_epoch": last,
    }


def _weights(run: Run, hardware: Hardware) -> list[dict[str, Any]]:
    """Where each layer's weights and constants are in flash, one after the other."""
    operations = run.machine.graph.operations
    address = hardware.flash.base
    listed = []
    for step in run.steps:
        for operation, demand in zip(
            operations[step.epoch.first : step.epoch.last + 1], step.epoch.demands, strict=True
        ):
            if demand.stored:
                listed.append(
                    {"layer": operation.name, "address": address, "size_bytes": demand.stored}
                )
                address += -(-demand.stored // ALIGNMENT) * ALIGNMENT
    return listed
