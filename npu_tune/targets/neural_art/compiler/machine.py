"""Runs epochs one after the other: places what they need and adds up what they cost.

The memory between two epochs is a state. What an epoch costs and which state it leaves depend on
the state before it and on the epoch alone, so both are remembered: a configuration that differs
from earlier ones in one layer costs little more than looking up the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.epoch import Epoch
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
from npu_tune.targets.neural_art.graph import Graph
from npu_tune.targets.neural_art.hardware import Hardware, Pool

_MOST_REMEMBERED = 300_000


@dataclass(frozen=True, slots=True)
class Step:
    """One epoch in one state of the memory.

    Args:
        epoch: what runs.
        state: the memory it leaves.
        placed: blocks that came into use with it, the output first.
        cycles: NPU cycles, waiting for preloaded weights left out.
        slack: of these, cycles in which flash is idle.
        preloading: cycles flash needs before the epoch starts.
        compute_cycles: of the units.
        ram_cycles: of the slowest memory or stream.
        flash_cycles: of weights while the epoch runs.
        marks: per pool, bytes up to the highest block that came into use.
        live_bytes: in use while the epoch runs, or just before with weights already arriving.
        ram_bytes: read and written, external RAM left out.
        external_bytes: read and written in external RAM.
        flash_bytes: read.
        energy: relative, idle power left out.
    """

    epoch: Epoch
    state: int
    placed: tuple[Block, ...]
    cycles: float
    slack: float
    preloading: float
    compute_cycles: float
    ram_cycles: float
    flash_cycles: float
    marks: tuple[int, ...]
    live_bytes: int
    ram_bytes: float
    external_bytes: float
    flash_bytes: float
    energy: float


class Machine:
    """A hardware with a memory policy and a cost rule, running the epochs of one graph."""

    def __init__(self, graph: Graph, hardware: Hardware, rule: CostRule, memory: Memory) -> None:
        self.graph = graph
        self.memory = memory
        self._hardware = hardware
        self._rule = rule
        self._end = len(graph.operations)
        self._last_use = {
            name: self._end if name in graph.outputs else (readers[-1] if readers else -1)
            for name, readers in graph.readers.items()
        }
        self._states: list[Live] = []
        self._numbers: dict[Live, int] = {}
        self._steps: dict[tuple[int, Epoch], Step] = {}
        self.start = self._number(self._inputs())
        self._first_marks = memory.high_water(self._states[self.start])

    @property
    def first_marks(self) -> tuple[int, ...]:
        """What the network's inputs take in each pool."""
        return self._first_marks

    def live(self, state: int) -> Live:
        """The blocks in use in a state."""
        return self._states[state]

    def step(self, state: int, epoch: Epoch) -> Step:
        """Runs an epoch.

        Raises:
            CompilerError: where its output fits into no pool.
        """
        key = (state, epoch)
        known = self._steps.get(key)
        if known is None:
            if len(self._steps) > _MOST_REMEMBERED:
                self._steps.clear()
            known = self._steps[key] = self._run(self._states[state], epoch)
        return known

    def _inputs(self) -> Live:
        live: Live = ()
        for name in self.graph.inputs:
            size = self.graph.maps[name].size_bytes
            start = self.memory.place(live, size)
            if start is None:
                raise _no_room(f"the input {name!r}", size)
            live = with_block(live, Block(start, start + size, self._last_use[name], name))
        return live

    def _number(self, live: Live) -> int:
        number = self._numbers.get(live)
        if number is None:
            number = self._numbers[live] = len(self._states)
            self._states.append(live)
        return number

    def _run(self, before: Live, epoch: Epoch) -> Step:
        buffer = self._weight_buffer(before, epoch)
        most_live = 0
        placed: tuple[Block, ...] = ()
        if buffer is not None:
            before = with_block(before, buffer)
            most_live = live_bytes(before)
            placed = (buffer,)
        live = tuple(block for block in before if block.last >= epoch.first)
        blocks = {block.name: block for block in live}
        reading = [blocks[read.name].start for read in epoch.reads]
        output = self._place(
            live,
            reading,
            Block(0, epoch.output_bytes, self._last_use[epoch.output], epoch.output),
            epoch,
        )
        live = with_block(live, output)
        placed = (output, *placed)
        traffic = _Traffic(self.memory)
        if epoch.workspace:
            sums = Block(0, epoch.workspace, epoch.last, f"partial sums of {epoch.output}")
            workspace = self._place(live, reading, sums, epoch)
            live = with_block(live, workspace)
            placed = (*placed, workspace)
            traffic.move(workspace, epoch.partial / 2, epoch.partial / 2)
        for read in epoch.reads:
            traffic.move(blocks[read.name], read.size_bytes, 0.0, scattered=read.scattered)
        traffic.move(output, 0.0, epoch.output_bytes, scattered=epoch.scattered_out)
        if buffer is not None:
            traffic.move(buffer, epoch.fetched, 0.0)
            traffic.fill(buffer, epoch.preloaded + epoch.late)
        return self._cost(epoch, traffic, live, placed=placed, most_live=most_live)

    def _weight_buffer(self, before: Live, epoch: Epoch) -> Block | None:
        """Room for preloaded weights on the chip; without it they are streamed after all."""
        if not epoch.buffer:
            return None
        start = self.memory.place(before, epoch.buffer)
        if start is None or is_external(self.memory.pool_at(start)):
            return None
        return Block(start, start + epoch.buffer, epoch.last, f"weights for {epoch.output}")

    def _place(self, live: Live, reading: list[int], wanted: Block, epoch: Epoch) -> Block:
        """Finds an address for a block that starts at 0.

        Raises:
            CompilerError: where there is none.
        """
        prefer = epoch.output_prefer if wanted.name == epoch.output else AUTO
        start = self.memory.place(live, wanted.end, prefer=prefer, reads=reading)
        if start is None:
            operation = self.graph.operations[epoch.last].name
            raise _no_room(f"the output of {operation!r}", wanted.end)
        return Block(start, start + wanted.end, wanted.last, wanted.name)

    def _cost(
        self,
        epoch: Epoch,
        traffic: _Traffic,
        live: Live,
        *,
        placed: tuple[Block, ...],
        most_live: int,
    ) -> Step:
        rule = self._rule
        is_preloaded = most_live > 0
        from_flash = epoch.late if is_preloaded else epoch.streamed
        flash = from_flash * rule.flash_cycles_per_byte
        compute = epoch.compute * rule.compute_factor
        ram = traffic.slowest()
        busy = max(compute, ram, flash)
        serial = max(epoch.serial * rule.flash_cycles_per_byte, epoch.serial_cycles)
        fixed = rule.software_epoch_cycles if epoch.software else rule.epoch_cycles * epoch.parts
        from_flash += epoch.serial + (epoch.preloaded if is_preloaded else 0)
        return Step(
            epoch=epoch,
            # What the epoch reads is still in use while the next one's weights arrive.
            state=self._number(live),
            placed=placed,
            cycles=serial + busy + fixed,
            slack=busy - flash,
            preloading=epoch.preloaded * rule.flash_cycles_per_byte if is_preloaded else 0.0,
            compute_cycles=compute,
            ram_cycles=ram,
            flash_cycles=flash + serial,
            marks=self.memory.high_water(placed),
            live_bytes=max(most_live, live_bytes(live)),
            ram_bytes=traffic.internal_bytes,
            external_bytes=traffic.external_bytes,
            flash_bytes=from_flash,
            energy=epoch.energy + traffic.energy + from_flash * self._hardware.flash.read_power,
        )


class _Traffic:
    """Adds up what an epoch moves."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._cycles: dict[str, float] = {}
        self._longest = 0.0
        self.internal_bytes = 0.0
        self.external_bytes = 0.0
        self.energy = 0.0

    def move(self, block: Block, read: float, written: float, *, scattered: float = 0.0) -> None:
        """Streams between a block and the units.

        Args:
            block: where.
            read: bytes.
            written: bytes.
            scattered: elements that one engine moves one by one, each in a cycle of the memory.
        """
        size = block.end - block.start
        for pool, piece in self._memory.pieces(block.start, block.end):
            share = piece / size
            self._count(pool, read * share, written * share)
            self._longest = max(self._longest, scattered * pool.clock_ratio)

    def fill(self, block: Block, written: float) -> None:
        """Weights that arrive from flash, far slower than the memory could take them."""
        pool = self._memory.pool_at(block.start)
        self.internal_bytes += written
        self.energy += written * pool.write_power

    def slowest(self) -> float:
        """Cycles of the busiest memory or of the longest stream."""
        return max(self._longest, *self._cycles.values()) if self._cycles else self._longest

    def _count(self, pool: Pool, read: float, written: float) -> None:
        rate = pool.cycles_per_byte
        self._cycles[pool.name] = self._cycles.get(pool.name, 0.0) + (read + written) * rate
        self.energy += read * pool.read_power + written * pool.write_power
        if is_external(pool):
            self.external_bytes += read + written
        else:
            self.internal_bytes += read + written


def _no_room(what: str, size: int) -> CompilerError:
    return CompilerError(
        f"No memory pool has room for {what} ({size} bytes).",
        remedy="Allow external RAM or virtual pools, or take a smaller input.",
        size_bytes=size,
    )
