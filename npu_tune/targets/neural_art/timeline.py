"""What lies in the pools of RAM while a compiled program runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from npu_tune.targets.memory import MemoryBuffer, MemoryTimeline
from npu_tune.targets.neural_art.buffers import (
    BufferKind,
    BufferUse,
    Moment,
    buffer_uses,
    layers_of,
)
from npu_tune.targets.neural_art.compiler.placement import Memory
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.segment import moves_rows
from npu_tune.targets.neural_art.compiler.step import Step


def memory_timeline(run: Run) -> MemoryTimeline:
    """The buffers of a run over its epochs, and over the members of depth-first segments.

    Addresses count from the beginning of each pool; a block that spans pools is a buffer in each.
    """
    moments = _moments(run)
    steps = {moment: number for number, moment in enumerate(moments)}
    memory = run.machine.memory
    return MemoryTimeline(
        tuple(moments.values()),
        tuple(buffer for use in buffer_uses(run) for buffer in _buffers(use, memory, steps)),
        {pool.name: pool.size_bytes for pool in memory.pools},
    )


def _moments(run: Run) -> dict[Moment, str]:
    """All that runs, in order, by the names of its layers."""
    return {
        Moment(index, number): name
        for index, step in enumerate(run.steps)
        for number, name in enumerate(_names(run, step))
    }


def _names(run: Run, step: Step) -> list[str]:
    if step.epoch.segment is None:
        return [" + ".join(layers_of(run, step))]
    return [
        f"rows of {member.span.output}" if moves_rows(member) else " + ".join(member.span.names)
        for member in step.epoch.members
    ]


def _buffers(
    use: BufferUse, memory: Memory, steps: Mapping[Moment, int]
) -> Iterator[MemoryBuffer]:
    block = use.block
    for index, _ in memory.where(block.start, block.end).pieces:
        pool = memory.pools[index]
        start, end = max(block.start, pool.base), min(block.end, pool.end)
        yield MemoryBuffer(
            name=_name(use),
            layer=use.layers[0] if use.layers else "",
            pool=pool.name,
            address=start - pool.base,
            size_bytes=end - start,
            first=steps[use.first],
            last=steps[use.last],
        )


def _name(use: BufferUse) -> str:
    """What a person calls it."""
    if use.kind is BufferKind.WEIGHTS:
        first, *others = use.layers
        return f"weights of {first}" + (f" and {len(others)} more" if others else "")
    return f"rows of {use.block.name}" if use.kind is BufferKind.ROWS else use.block.name
