"""Simulates epochs one after the other: places their blocks in memory and computes their costs.

The blocks in use between two epochs are a state. Where an epoch's blocks are placed depends on
the state before it and on their sizes alone; what the epoch costs depends on that and on its
demands. So both are cached, and a configuration that differs from earlier ones in one layer costs
little more than looking up the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.epoch import Epoch, Span
from npu_tune.targets.neural_art.compiler.placement import (
    AUTO,
    Block,
    Live,
    Memory,
    is_external,
    live_bytes,
    with_block,
)
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.step import EpochCosts, Placement, Step
from npu_tune.targets.neural_art.compiler.traffic import Traffic
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware

_CACHED_STEPS = 50_000
"""Steps after which the cache is emptied, so that long studies do not fill the memory."""


class Machine:
    """Simulates the epochs of one graph on a hardware with a memory policy and a cost rule.

    Args:
        graph: that is compiled.
        hardware: gives the power of reading flash.
        rule: turns demands into cycles.
        memory: places blocks.
    """

    def __init__(
        self, graph: OperationGraph, hardware: Hardware, rule: CostRule, memory: Memory
    ) -> None:
        self.graph = graph
        self.memory = memory
        self._flash_power = hardware.flash.read_power
        self._rule = rule
        end = len(graph.operations)
        self._last_use = {
            name: end if name in graph.outputs else (readers[-1] if readers else -1)
            for name, readers in graph.readers.items()
        }
        self._states: list[Live] = []
        self._state_numbers: dict[Live, int] = {}
        self._without_dead: dict[tuple[int, int], int] = {}
        self._placements: dict[tuple[int, Span, str, int, tuple[int, ...]], Placement] = {}
        self._traffics: dict[Any, Traffic] = {}
        self._steps: dict[tuple[int, Epoch], Step] = {}
        self.start = self._state_number(self._place_inputs())
        self.first_marks = memory.high_water(self._states[self.start])
        """Per pool, bytes up to the end of the highest of the network's inputs."""

    def live(self, state: int) -> Live:
        """The blocks in use in a state."""
        return self._states[state]

    def step(self, state: int, epoch: Epoch) -> Step:
        """Runs an epoch in a state; the same object for the same arguments.

        Raises:
            CompilerError: if its output fits into no pool.
        """
        key = (state, epoch)
        step = self._steps.get(key)
        if step is None:
            if len(self._steps) > _CACHED_STEPS:
                self._steps.clear()
                self._placements.clear()
            step = self._steps[key] = self._cost(epoch, self._placement(state, epoch))
        return step

    def _place_inputs(self) -> Live:
        live: Live = ()
        for name in self.graph.inputs:
            size = self.graph.maps[name].size_bytes
            start = self.memory.place(live, size)
            if start is None:
                raise _no_room_error(f"the input {name!r}", size)
            live = with_block(live, Block(start, start + size, self._last_use[name], name))
        return live

    def _state_number(self, live: Live) -> int:
        number = self._state_numbers.get(live)
        if number is None:
            number = self._state_numbers[live] = len(self._states)
            self._states.append(live)
        return number

    def _placement(self, state: int, epoch: Epoch) -> Placement:
        total, prefer = epoch.total, epoch.choices[-1].output_pool
        if not total.buffer:
            # Blocks last read by the epoch before only stand in the way of preloaded weights.
            state = self._drop_dead_blocks(state, epoch.span.first)
        key = (state, epoch.span, prefer, total.buffer, total.workspace)
        placement = self._placements.get(key)
        if placement is None:
            placement = self._place_epoch(
                self._states[state],
                epoch.span,
                prefer=prefer,
                buffer_bytes=total.buffer,
                workspace=total.workspace,
            )
            self._placements[key] = placement
        return placement

    def _drop_dead_blocks(self, state: int, position: int) -> int:
        """The state without the blocks that no operation from a position on reads."""
        key = (state, position)
        found = self._without_dead.get(key)
        if found is None:
            live = tuple(block for block in self._states[state] if block.last >= position)
            found = self._without_dead[key] = self._state_number(live)
        return found

    def _place_epoch(
        self,
        before: Live,
        span: Span,
        *,
        prefer: str,
        buffer_bytes: int,
        workspace: tuple[int, ...],
    ) -> Placement:
        most_live = 0
        placed: list[Block] = []
        buffer = self._weight_buffer(before, span, buffer_bytes) if buffer_bytes else None
        if buffer is not None:
            placed.append(buffer)
            before = with_block(before, buffer)
            most_live = live_bytes(before)
        live = tuple(block for block in before if block.last >= span.first)
        blocks = {block.name: block for block in live}
        inputs = tuple([blocks[name] for name, _ in span.inputs])
        reading = tuple([block.start for block in inputs])
        output = self._place(
            live, reading, Block(0, span.output_bytes, self._last_use[span.output], span.output),
            span=span, prefer=prefer,
        )  # fmt: skip
        live = with_block(live, output)
        placed.insert(0, output)
        further = []
        for name, size in span.further:
            wanted = Block(0, size, self._last_use[name], name)
            further.append(self._place(live, reading, wanted, span=span, prefer=prefer))
            live = with_block(live, further[-1])
        placed += further
        sums: Block | None = None
        # The smaller ones first, so that large sums do not drive them out of the chip.
        for size in sorted(workspace):
            wanted = Block(0, size, span.last, f"partial sums of {span.output}")
            sums = self._place(live, reading, wanted, span=span, prefer=AUTO)
            live = with_block(live, sums)
            placed.append(sums)
        return Placement(
            # What the epoch reads is still in use while the next one's weights arrive.
            state=self._state_number(live),
            placed=tuple(placed),
            marks=self.memory.high_water(placed),
            live_bytes=max(most_live, live_bytes(live)),
            preloads=buffer is not None,
            traffic=self._traffic(span, inputs, further, (output, buffer, sums)),
        )

    def _traffic(
        self,
        span: Span,
        inputs: Sequence[Block],
        further: Sequence[Block],
        others: tuple[Block | None, ...],
    ) -> Traffic:
        """What moving the streams costs; depends on pools, not on addresses, so few differ."""
        where = self.memory.where
        read = tuple([where(block.start, block.end).pieces for block in inputs])
        also_written = tuple([where(block.start, block.end).pieces for block in further])
        output, buffer, sums = (
            None if block is None else where(block.start, block.end).pieces for block in others
        )
        key = (span, read, output, also_written, buffer, sums)
        traffic = self._traffics.get(key)
        if traffic is None:
            sizes = (size for _, size in span.inputs)
            more = (size for _, size in span.further)
            traffic = self._traffics[key] = Traffic.of(
                self.memory.pools,
                tuple(zip(read, sizes, strict=True)),
                (output or (), span.output_bytes),
                further=tuple(zip(also_written, more, strict=True)),
                buffer=buffer,
                sums=sums,
            )
        return traffic

    def _weight_buffer(self, before: Live, span: Span, size: int) -> Block | None:
        """Places preloaded weights on the chip; None without room, and then they are streamed."""
        start = self.memory.place(before, size)
        if start is None or is_external(self.memory.pool_at(start)):
            return None
        return Block(start, start + size, span.last, f"weights for {span.output}")

    def _place(
        self, live: Live, reading: tuple[int, ...], wanted: Block, *, span: Span, prefer: str
    ) -> Block:
        """Places a block.

        Args:
            live: the blocks in use, by address.
            reading: addresses of what the epoch reads.
            wanted: the block, as if it started at address 0.
            span: that the block belongs to; for the error.
            prefer: kind of the pool to try first, or ``auto``.

        Raises:
            CompilerError: if no pool has room.
        """
        start = self.memory.place(live, wanted.end, prefer=prefer, reads=reading)
        if start is None:
            operation = self.graph.operations[span.last].name
            raise _no_room_error(f"the output of {operation!r}", wanted.end)
        return Block(start, start + wanted.end, wanted.last, wanted.name)

    def _cost(self, epoch: Epoch, placement: Placement) -> Step:
        """Costs a placed epoch: the slowest of units, memories and flash sets its cycles."""
        rule, total, span = self._rule, epoch.total, epoch.span
        traffic, preloads = placement.traffic, placement.preloads
        rate = rule.flash_cycles_per_byte
        streamed = total.late if preloads else total.streamed
        arriving = total.preloaded if preloads else 0
        fetched = total.fetched if preloads else 0
        flash = streamed * rate
        compute = total.compute * rule.compute_factor
        ram = max(
            traffic.busiest(total.reads, fetched, total.partial),
            total.scattered_in * traffic.input_ratio,
            (total.scattered_out or span.scattered_out) * traffic.output_ratio,
        )
        busy = max(compute, ram, flash)
        serial = max(total.serial * rate, total.serial_cycles)
        fixed = rule.software_epoch_cycles if span.software else rule.epoch_cycles * total.parts
        from_flash = streamed + arriving + total.serial
        filled = total.buffer and arriving + total.late if preloads else 0
        internal, external, moving = traffic.totals(total.reads, fetched, total.partial, filled)
        costs = EpochCosts(
            serial + busy + fixed,
            busy - flash,
            arriving * rate,
            compute,
            ram,
            flash + serial,
            internal,
            external,
            from_flash,
            total.energy + moving + from_flash * self._flash_power,
        )
        return Step(epoch, placement, costs)


def _no_room_error(what: str, size: int) -> CompilerError:
    return CompilerError(
        f"No memory pool has room for {what} ({size} bytes).",
        remedy="Allow external RAM or virtual pools, or take a smaller input.",
        size_bytes=size,
    )
