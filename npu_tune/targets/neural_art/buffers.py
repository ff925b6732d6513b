"""What a compiled program has in memory, and when."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.epoch import resident_name
from npu_tune.targets.neural_art.compiler.placement import Block
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.step import Step


class BufferKind(StrEnum):
    """What a block of memory holds."""

    INPUT = "input"
    STATE = "state"
    """An input that is an output too."""
    FEATURE_MAP = "feature_map"
    ROWS = "rows"
    """Of a map between the members of a depth-first segment."""
    WEIGHTS = "weights"
    """Of one epoch, preloaded."""
    RESIDENT_WEIGHTS = "resident_weights"
    PARTIAL_SUMS = "partial_sums"


class Moment(NamedTuple):
    """A member of an epoch; 0 of one that is no segment."""

    epoch: int
    member: int


class BufferUse(NamedTuple):
    """A block with its place, and the moments in which it is in use, both included.

    Args:
        block: with its addresses.
        kind: of what it holds.
        first: moment.
        last: moment.
        layers: that write it, or need it; none for an input.
    """

    block: Block
    kind: BufferKind
    first: Moment
    last: Moment
    layers: tuple[str, ...]


def buffer_uses(run: Run) -> Iterator[BufferUse]:
    """Every block of a run.

    An input is in use from epoch 0 on, preloaded weights from the epoch before the one that needs
    them, resident weights throughout.
    """
    graph, times = run.machine.graph, _Times(run)
    residents = {
        resident_name(name): name
        for step in run.steps
        for name, demand in zip(layers_of(run, step), step.epoch.demands, strict=True)
        if demand.resident
    }
    for block in run.machine.live(run.beginning.state):
        layers: tuple[str, ...] = ()
        if block.name in residents:
            kind, layers = BufferKind.RESIDENT_WEIGHTS, (residents[block.name],)
        else:
            kind = BufferKind.STATE if block.name in graph.outputs else BufferKind.INPUT
        yield BufferUse(block, kind, Moment(0, 0), times.last_use(block), layers)
    writers = {operation.output: operation.name for operation in graph.operations}
    for index, step in enumerate(run.steps):
        for block, kind, first, last in _placed(step, index, times):
            if kind is BufferKind.WEIGHTS:
                layers = _preloading(step)
            elif block.name in writers:
                layers = (writers[block.name],)
            else:
                layers = step.epoch.members[first.member].span.names[-1:]
            yield BufferUse(block, kind, first, last, layers)


def layers_of(run: Run, step: Step) -> tuple[str, ...]:
    """Names of the operations of an epoch."""
    operations = run.machine.graph.operations[step.epoch.first : step.epoch.last + 1]
    return tuple(operation.name for operation in operations)


def _placed(
    step: Step, index: int, times: _Times
) -> Iterator[tuple[Block, BufferKind, Moment, Moment]]:
    """The blocks that an epoch places: the output, preloaded weights, rows, and sums by member."""
    segment = step.epoch.segment
    end = len(step.epoch.members) - 1
    joins = segment is not None and segment.halo == RECOMPUTE
    rows = {each.name: each for each in segment.rows} if segment is not None else {}
    written = {step.epoch.span.output, *(name for name, _ in step.epoch.span.further)}
    summing = iter([n for n, m in enumerate(step.epoch.members) for _ in m.total.workspace])
    for number, block in enumerate(step.placement.placed):
        if number == 1 and step.placement.preloads:
            yield block, BufferKind.WEIGHTS, times.before(index), Moment(index, end)
        elif block.name in written:
            first = Moment(index, end if joins else 0)
            last = max(Moment(index, end), times.last_use(block))
            yield block, BufferKind.FEATURE_MAP, first, last
        elif block.name in rows:
            own = rows[block.name]
            yield block, BufferKind.ROWS, Moment(index, own.first), Moment(index, own.last)
        else:
            at = Moment(index, next(summing))
            yield block, BufferKind.PARTIAL_SUMS, at, at


def _preloading(step: Step) -> tuple[str, ...]:
    """The operations of an epoch whose weights are preloaded."""
    return tuple(
        name
        for member in step.epoch.members
        for name, demand in zip(member.span.names, member.demands, strict=True)
        if demand.buffer
    )


class _Times:
    """When the epochs of a run stop using blocks."""

    def __init__(self, run: Run) -> None:
        self._epochs = [step.epoch for step in run.steps]
        self._epoch_of = {
            position: index
            for index, epoch in enumerate(self._epochs)
            for position in range(epoch.first, epoch.last + 1)
        }

    def last_use(self, block: Block) -> Moment:
        """The moment after which nothing needs a block; the end for what has to stay."""
        index = self._epoch_of.get(block.last)
        if index is None:
            return self._end(len(self._epochs) - 1) if block.last >= 0 else Moment(-1, 0)
        found = self._end(index)
        segment = self._epochs[index].segment
        if segment is not None and segment.halo == RECOMPUTE:
            # The stripes are put together without it.
            return found._replace(member=found.member - 1)
        return found

    def before(self, index: int) -> Moment:
        """The moment in which preloaded weights of an epoch arrive."""
        return self._end(index - 1) if index else Moment(0, 0)

    def _end(self, index: int) -> Moment:
        return Moment(index, len(self._epochs[index].members) - 1)
