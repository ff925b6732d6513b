"""What lies in memory while a network runs, as a program tells it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from npu_tune.errors import CompilerError
from npu_tune.targets.memory import MemoryBuffer, MemoryTimeline
from npu_tune.validation import Table

Count = Annotated[int, Field(ge=0)]


class BufferTable(Table):
    """A stretch of memory; see :class:`npu_tune.targets.MemoryBuffer`."""

    name: str = Field(min_length=1)
    layer: str = ""
    pool: str = Field(min_length=1)
    address: Count
    size_bytes: Count
    first: Count
    last: Count

    def buffer(self) -> MemoryBuffer:
        return MemoryBuffer(**self.model_dump())


class MemoryTable(Table):
    """The part ``memory`` of an answer; see :class:`npu_tune.targets.MemoryTimeline`."""

    steps: Annotated[tuple[str, ...], Field(strict=False)]
    buffers: Annotated[tuple[BufferTable, ...], Field(strict=False)]
    capacities: dict[str, Count] = Field(default_factory=dict)


def timeline_of(memory: MemoryTable | None, layers: Collection[str]) -> MemoryTimeline:
    """The timeline that a program tells.

    Args:
        memory: of its answer.
        layers: of the network.

    Raises:
        CompilerError: where there is none, or it cannot be so.
    """
    if memory is None:
        raise CompilerError(
            "The answer of the command has no memory, which is declared.",
            remedy="Take memory = true out of [target.command], or let the program tell it.",
        )
    timeline = MemoryTimeline(
        memory.steps, tuple(each.buffer() for each in memory.buffers), memory.capacities
    )
    for buffer in timeline.buffers:
        if not buffer.first <= buffer.last < len(timeline.steps):
            raise CompilerError(
                f"The command says that {buffer.name!r} is in memory from step {buffer.first} to "
                f"step {buffer.last}, of {len(timeline.steps)} steps.",
                remedy="Steps count from 0; the last one is itself included.",
            )
        if buffer.layer and buffer.layer not in layers:
            raise CompilerError(
                f"The command says that {buffer.layer!r} writes {buffer.name!r}, which is no layer.",
                remedy="Layers have the names of the request.",
            )
    if overlaps := timeline.overlaps():
        one, other = overlaps[0]
        raise CompilerError(
            f"The command says that {one.name!r} and {other.name!r} share bytes of {one.pool!r} "
            "while both are in use.",
            remedy="Name what is overwritten in place as one buffer.",
        )
    return timeline
