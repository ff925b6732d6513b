"""The compiled program as a document: epochs on a timeline, buffers, weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from npu_tune.targets.neural_art.compiler.choice import DIMC, NEUTRAL
from npu_tune.targets.neural_art.compiler.epoch import resident_name
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT, Block
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE
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
            "layers": _layers(run, step),
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
        for layer, choice in zip(_layers(run, step), step.epoch.choices, strict=True)
    }


class _Moment(NamedTuple):
    """A member of an epoch; 0 of one that is no segment."""

    epoch: int
    member: int


def _buffers(run: Run) -> Iterator[dict[str, Any]]:
    """Every block with its place and the moments in which it is in use."""
    graph, times = run.machine.graph, _Times(run)
    residents = {
        resident_name(name)
        for step in run.steps
        for name, demand in zip(_layers(run, step), step.epoch.demands, strict=True)
        if demand.resident
    }
    for block in run.machine.live(run.beginning.state):
        if block.name in residents:
            kind = "resident_weights"
        else:
            kind = "state" if block.name in graph.outputs else "input"
        yield _buffer(run, block, kind, _Moment(0, 0), times.last_use(block))
    for index, step in enumerate(run.steps):
        for block, kind, first, last in _placed(step, index, times):
            yield _buffer(run, block, kind, first, last)


def _placed(
    step: Step, index: int, times: _Times
) -> Iterator[tuple[Block, str, _Moment, _Moment]]:
    """The blocks that an epoch places: the output, preloaded weights, rows, and sums by member."""
    segment = step.epoch.segment
    end = len(step.epoch.members) - 1
    joins = segment is not None and segment.halo == RECOMPUTE
    rows = {each.name: each for each in segment.rows} if segment is not None else {}
    written = {step.epoch.span.output, *(name for name, _ in step.epoch.span.further)}
    summing = iter([n for n, m in enumerate(step.epoch.members) for _ in m.total.workspace])
    for number, block in enumerate(step.placement.placed):
        if number == 1 and step.placement.preloads:
            yield block, "weights", times.before(index), _Moment(index, end)
        elif block.name in written:
            first = _Moment(index, end if joins else 0)
            yield block, "feature_map", first, max(_Moment(index, end), times.last_use(block))
        elif block.name in rows:
            own = rows[block.name]
            yield block, "rows", _Moment(index, own.first), _Moment(index, own.last)
        else:
            at = _Moment(index, next(summing))
            yield block, "partial_sums", at, at


class _Times:
    """When the epochs of a run stop using blocks."""

    def __init__(self, run: Run) -> None:
        self._epochs = [step.epoch for step in run.steps]
        self._epoch_of = {
            position: index
            for index, epoch in enumerate(self._epochs)
            for position in range(epoch.first, epoch.last + 1)
        }

    def last_use(self, block: Block) -> _Moment:
        """The moment after which nothing needs a block; the end for what has to stay."""
        index = self._epoch_of.get(block.last)
        if index is None:
            return self._end(len(self._epochs) - 1) if block.last >= 0 else _Moment(-1, 0)
        found = self._end(index)
        segment = self._epochs[index].segment
        if segment is not None and segment.halo == RECOMPUTE:
            # The stripes are put together without it.
            return found._replace(member=found.member - 1)
        return found

    def before(self, index: int) -> _Moment:
        """The moment in which preloaded weights of an epoch arrive."""
        return self._end(index - 1) if index else _Moment(0, 0)

    def _end(self, index: int) -> _Moment:
        return _Moment(index, len(self._epochs[index].members) - 1)


def _buffer(run: Run, block: Block, kind: str, first: _Moment, last: _Moment) -> dict[str, Any]:
    memory = run.machine.memory
    pools = [memory.pools[index].name for index, _ in memory.where(block.start, block.end).pieces]
    return {
        "name": block.name,
        "kind": kind,
        "pools": pools,
        "address": block.start,
        "size_bytes": block.end - block.start,
        "first_epoch": first.epoch,
        "first_member": first.member,
        "last_epoch": last.epoch,
        "last_member": last.member,
    }


def _layers(run: Run, step: Step) -> list[str]:
    """Names of the operations of an epoch."""
    operations = run.machine.graph.operations[step.epoch.first : step.epoch.last + 1]
    return [operation.name for operation in operations]


def _weights(run: Run, hardware: Hardware) -> list[dict[str, Any]]:
    """Where each layer's weights and constants are in flash, one after the other."""
    address = hardware.flash.base
    listed = []
    for step in run.steps:
        for layer, demand in zip(_layers(run, step), step.epoch.demands, strict=True):
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
