"""The compiled program as a document: epochs on a timeline, buffers, weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from npu_tune.targets.neural_art.buffers import BufferUse, buffer_uses, layers_of
from npu_tune.targets.neural_art.compiler.choice import DIMC, NEUTRAL
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.segment import moves_rows
from npu_tune.targets.neural_art.compiler.step import Step
from npu_tune.targets.neural_art.hardware import Hardware

FORMAT = "npu-tune/neural-art-program"
VERSION = 2


def program_document(run: Run, hardware: Hardware) -> dict[str, Any]:
    """A run as JSON: what a code generator or a person needs of it.

    Epochs stand in the order in which they run; ``start_cycle`` counts from the start of the
    inference. A depth-first segment is an epoch with ``members``, which take turns for each of its
    ``stripes``; ``parts`` of a member says how often it runs.

    Buffers are in use from ``first_epoch`` to ``last_epoch``, both included, and of epochs with
    members from ``first_member`` to ``last_member``. An input is in use from epoch 0 on, preloaded
    weights from the epoch before the one that needs them, resident weights throughout.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "hardware": hardware.name,
        "clock_mhz": hardware.clock_mhz,
        "pools": pools_document(run),
        "epochs": _epochs(run),
        "buffers": [_buffer(run, use) for use in buffer_uses(run)],
        "weights": _weights(run, hardware),
    }


def pools_document(run: Run) -> list[dict[str, Any]]:
    """The pools of RAM, and how far a run fills each."""
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
            "layers": list(layers_of(run, step)),
            "unit": _unit(step),
            "start_cycle": start,
            "cycles": step.cycles,
            "waits_for_weights_cycles": wait,
            "compute_cycles": step.costs.compute_cycles,
            "ram_cycles": step.costs.ram_cycles,
            "flash_cycles": step.costs.flash_cycles,
            "parts": step.epoch.total.parts,
            "stripes": step.epoch.segment.stripes if step.epoch.segment else 1,
            "halo": step.epoch.segment.halo if step.epoch.segment else None,
            "members": list(_members(step)),
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


def _members(step: Step) -> Iterator[dict[str, Any]]:
    """The epochs of a depth-first segment, with what all stripes together cost; none of others."""
    if step.epoch.segment is None:
        return
    for member, costs in zip(step.epoch.members, step.members, strict=True):
        yield {
            "layers": [] if moves_rows(member) else list(member.span.names),
            "parts": member.total.parts,
            "cycles": costs.cycles,
            "compute_cycles": costs.compute_cycles,
            "ram_cycles": costs.ram_cycles,
            "flash_cycles": costs.flash_cycles,
            "reads": [name for name, _ in member.span.inputs],
            "writes": member.span.output,
            "flash_bytes": costs.flash_bytes,
        }


def _unit(step: Step) -> str:
    if step.epoch.software:
        return "cpu"
    return DIMC if step.epoch.choices[0].unit == DIMC else "npu"


def _choices(run: Run, step: Step) -> dict[str, Mapping[str, Any]]:
    """Per layer, what differs from doing nothing special."""
    neutral = NEUTRAL._asdict()
    return {
        layer: {name: value for name, value in choice._asdict().items() if value != neutral[name]}
        for layer, choice in zip(layers_of(run, step), step.epoch.choices, strict=True)
    }


def _buffer(run: Run, use: BufferUse) -> dict[str, Any]:
    memory, block = run.machine.memory, use.block
    pools = [memory.pools[index].name for index, _ in memory.where(block.start, block.end).pieces]
    return {
        "name": block.name,
        "kind": str(use.kind),
        "pools": pools,
        "address": block.start,
        "size_bytes": block.end - block.start,
        "first_epoch": use.first.epoch,
        "first_member": use.first.member,
        "last_epoch": use.last.epoch,
        "last_member": use.last.member,
    }


def _weights(run: Run, hardware: Hardware) -> list[dict[str, Any]]:
    """Where each layer's weights and constants are in flash, one after the other."""
    address = hardware.flash.base
    listed = []
    for step in run.steps:
        for layer, demand in zip(layers_of(run, step), step.epoch.demands, strict=True):
            if demand.stored:
                listed.append(
                    {
                        "layer": layer,
                        "address": address,
                        "size_bytes": demand.stored,
                        "resident": demand.resident > 0,
                    }
                )
                address += -(-demand.stored // ALIGNMENT) * ALIGNMENT
    return listed
