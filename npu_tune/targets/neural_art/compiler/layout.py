"""Places the blocks of one epoch, or of one depth-first segment, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.epoch import Epoch, SegmentEpochs, Span, resident_name
from npu_tune.targets.neural_art.compiler.placement import (
    AUTO,
    Block,
    Live,
    Memory,
    is_external,
    live_bytes,
    with_block,
)
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE
from npu_tune.targets.neural_art.compiler.step import Placement
from npu_tune.targets.neural_art.compiler.traffic import Traffic
from npu_tune.targets.neural_art.graph import OperationGraph


class Resident(NamedTuple):
    """Weights that ask for room in RAM for good.

    Args:
        operation: name of the operation.
        size: in bytes.
        pool: kind of pool, or ``auto`` for any on the chip.
    """

    operation: str
    size: int
    pool: str


class _Range(NamedTuple):
    """A block with the first and the last member of a segment that find it in memory."""

    block: Block
    first: int
    last: int


class Layout:
    """Finds room for what the epochs of one graph keep in memory.

    Args:
        graph: that is compiled.
        memory: finds addresses.
    """

    def __init__(self, graph: OperationGraph, memory: Memory) -> None:
        self._graph = graph
        self.memory = memory
        self._end = len(graph.operations)
        self._last_use = graph.last_use
        self._traffics: dict[Any, Traffic] = {}

    def forget(self) -> None:
        """Releases what is remembered of epochs."""
        self._traffics.clear()

    def inputs(self) -> Live:
        """The inputs of the network, and its state.

        Raises:
            CompilerError: if one fits into no pool.
        """
        live: Live = ()
        for name in self._graph.inputs:
            size = self._graph.maps[name].size_bytes
            start = self.memory.place(live, size)
            if start is None:
                raise _no_room_error(f"the input {name!r}", size)
            live = with_block(live, Block(start, start + size, self._last_use[name], name))
        return live

    def residents(self, live: Live, wanted: Iterable[Resident]) -> tuple[Live, frozenset[str]]:
        """Resident weights beside what is in memory from the start.

        Returns:
            All blocks, and the names of the operations whose weights found no room.
        """
        without = set()
        for operation, size, pool in wanted:
            start = self.memory.place_weights(live, size, pool)
            if start is None:
                without.add(operation)
            else:
                block = Block(start, start + size, self._end, resident_name(operation))
                live = with_block(live, block)
        return live, frozenset(without)

    def place(self, before: Live, epoch: Epoch) -> tuple[Placement, Live]:
        """Places the blocks of an epoch; gives what it leaves in memory too.

        What the epoch reads is still in use while the weights of the next one arrive.

        Args:
            before: the blocks in use, those that the epoch before read among them where weights
                are preloaded.
            epoch: that runs.

        Raises:
            CompilerError: if a map fits into no pool.
        """
        span, size = epoch.span, epoch.total.buffer
        buffer = self._weight_buffer(before, span, size) if size else None
        most_live = 0
        if buffer is not None:
            before = with_block(before, buffer)
            most_live = live_bytes(before)
        live = tuple([block for block in before if block.last >= span.first])
        if epoch.segment is None:
            return self._place_single(live, epoch, buffer, most_live)
        return self._place_segment(live, epoch, epoch.segment, buffer, most_live)

    def _place_single(
        self, live: Live, epoch: Epoch, buffer: Block | None, most_live: int
    ) -> tuple[Placement, Live]:
        span, prefer = epoch.span, epoch.choices[-1].output_pool
        blocks = {block.name: block for block in live}
        reading = tuple([blocks[name].start for name, _ in span.inputs])
        placed: list[Block] = []
        for name, size in ((span.output, span.output_bytes), *span.further):
            wanted = Block(0, size, self._last_use[name], name)
            placed.append(self._place(live, reading, wanted, prefer, span))
            live = with_block(live, placed[-1])
        blocks |= {block.name: block for block in placed}
        if buffer is not None:
            placed.insert(1, buffer)
        sums: Block | None = None
        # The smaller ones first, so that large sums do not drive them out of the chip.
        for size in sorted(epoch.total.workspace):
            sums = self._place(live, reading, _sums(span, size), AUTO, span)
            live = with_block(live, sums)
            placed.append(sums)
        placement = Placement(
            placed=tuple(placed),
            marks=self.memory.high_water(placed),
            live_bytes=max(most_live, live_bytes(live)),
            preloads=buffer is not None,
            traffics=(self._traffic(epoch, blocks, buffer, sums),),
        )
        return placement, live

    def _place_segment(
        self,
        live: Live,
        epoch: Epoch,
        segment: SegmentEpochs,
        buffer: Block | None,
        most_live: int,
    ) -> tuple[Placement, Live]:
        span, members = epoch.span, segment.members
        end = len(members) - 1
        again = segment.halo == RECOMPUTE
        # What only the segment reads is there until the last stripe ends.
        last_stripe = end - 1 if again else end
        ranges = [
            _Range(block, 0, end if block.last > span.last or block is buffer else last_stripe)
            for block in live
        ]
        blocks = {block.name: block for block in live}
        placed: list[Block] = []

        def place(wanted: Block, first: int, last: int, prefer: str, member: Epoch) -> Block:
            busy = [each.block for each in ranges if each.first <= last and first <= each.last]
            reading = [blocks[name].start for name, _ in member.span.inputs if name in blocks]
            block = self._place(_by_address(busy), tuple(reading), wanted, prefer, member.span)
            ranges.append(_Range(block, first, last))
            placed.append(block)
            return block

        writer = {member.span.output: member for member in members}
        for rows in segment.rows:
            member, wanted = writer[rows.name], Block(0, rows.size_bytes, span.last, rows.name)
            prefer = member.choices[-1].output_pool
            blocks[rows.name] = place(wanted, rows.first, rows.last, prefer, member)
        output = Block(0, epoch.span.output_bytes, self._last_use[span.output], span.output)
        first = end if again else 0
        blocks[span.output] = place(output, first, end, epoch.choices[-1].output_pool, members[-1])
        placed.insert(0, placed.pop())
        if buffer is not None:
            placed.insert(1, buffer)
        traffics = []
        for number, member in enumerate(members):
            sums = None
            for size in sorted(member.total.workspace):
                sums = place(_sums(span, size), number, number, AUTO, member)
            own = buffer if member.total.buffer else None
            traffics.append(self._traffic(member, blocks, own, sums))
        used = [
            sum(
                each.block.end - each.block.start
                for each in ranges
                if each.first <= number <= each.last
            )
            for number in range(len(members))
        ]
        placement = Placement(
            placed=tuple(placed),
            marks=self.memory.high_water(placed),
            live_bytes=max(most_live, *used),
            preloads=buffer is not None,
            traffics=tuple(traffics),
        )
        return placement, _by_address(each.block for each in ranges if each.last == end)

    def _traffic(
        self,
        epoch: Epoch,
        blocks: Mapping[str, Block],
        buffer: Block | None,
        sums: Block | None,
    ) -> Traffic:
        """What moving the streams costs; depends on pools, not on addresses, so few differ."""
        span, pieces = epoch.span, self._pieces
        read = tuple([pieces(blocks[name]) for name, _ in span.inputs])
        output = pieces(blocks[span.output])
        also_written = tuple([pieces(blocks[name]) for name, _ in span.further])
        weights = tuple([(pieces(blocks[name]), taken) for name, taken in epoch.residents])
        fetched = None if buffer is None else pieces(buffer)
        added = None if sums is None else pieces(sums)
        key = (span, read, output, also_written, weights, fetched, added)
        traffic = self._traffics.get(key)
        if traffic is None:
            sizes = (size for _, size in span.inputs)
            more = (size for _, size in span.further)
            traffic = self._traffics[key] = Traffic.of(
                self.memory.pools,
                tuple(zip(read, sizes, strict=True)),
                (output, span.output_bytes),
                further=tuple(zip(also_written, more, strict=True)),
                weights=weights,
                buffer=fetched,
                sums=added,
            )
        return traffic

    def _pieces(self, block: Block) -> tuple[tuple[int, float], ...]:
        return self.memory.where(block.start, block.end).pieces

    def _weight_buffer(self, before: Live, span: Span, size: int) -> Block | None:
        """Places preloaded weights on the chip; None without room, and then they are streamed."""
        start = self.memory.place(before, size)
        if start is None or is_external(self.memory.pool_at(start)):
            return None
        return Block(start, start + size, span.last, f"weights for {span.output}")

    def _place(
        self, live: Live, reading: tuple[int, ...], wanted: Block, prefer: str, span: Span
    ) -> Block:
        """Places a block.

        Args:
            live: the blocks in use, by address.
            reading: addresses of what the epoch reads.
            wanted: the block, as if it started at address 0.
            prefer: kind of the pool to try first, or ``auto``.
            span: that writes the block; for the error.

        Raises:
            CompilerError: if no pool has room.
        """
        start = self.memory.place(live, wanted.end, prefer=prefer, reads=reading)
        if start is None:
            raise _no_room_error(f"the output of {span.names[-1]!r}", wanted.end)
        return Block(start, start + wanted.end, wanted.last, wanted.name)


def _sums(span: Span, size: int) -> Block:
    return Block(0, size, span.last, f"partial sums of {span.output}")


def _by_address(blocks: Iterable[Block]) -> Live:
    return tuple(sorted(blocks, key=lambda block: (block.start, block.end)))


def _no_room_error(what: str, size: int) -> CompilerError:
    return CompilerError(
        f"No memory pool has room for {what} ({size} bytes).",
        remedy="Allow external RAM or virtual pools, or take a smaller input.",
        size_bytes=size,
    )
