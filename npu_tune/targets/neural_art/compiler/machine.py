"""Runs epochs one after the other: places what they need and adds up what they cost.

The memory between two epochs is a state. Where an epoch's blocks go depends on the state before
it and on their sizes alone, and what it costs on that and on its demands, so both are remembered:
a configuration that differs from earlier ones in one layer costs little more than looking up the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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
from npu_tune.targets.neural_art.compiler.traffic import Traffic
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware

_MOST_REMEMBERED = 50_000


class Placement(NamedTuple):
    """Where the blocks of an epoch went.

    Args:
        state: the memory while the epoch runs, which the next one starts from.
        placed: blocks that came into use, the output first.
        marks: per pool, bytes up to the highest of them.
        live_bytes: in use while the epoch runs, or just before with weights already arriving.
        preloads: whether there was room for preloaded weights.
        traffic: what moving a byte of each stream costs.
    """

    state: int
    placed: tuple[Block, ...]
    marks: tuple[int, ...]
    live_bytes: int
    preloads: bool
    traffic: Traffic


class EpochCosts(NamedTuple):
    """What an epoch costs; cycles are NPU cycles.

    Args:
        cycles: of the epoch, waiting for preloaded weights left out.
        slack: of these, cycles in which flash is idle.
        preloading: cycles flash needs before the epoch starts.
        compute_cycles: of the units.
        ram_cycles: of the slowest memory or stream.
        flash_cycles: of weights while the epoch runs.
        ram_bytes: read and written, external RAM left out.
        external_bytes: read and written in external RAM.
        flash_bytes: read.
        energy: relative, idle power left out.
    """

    cycles: float
    slack: float
    preloading: float
    compute_cycles: float
    ram_cycles: float
    flash_cycles: float
    ram_bytes: float
    external_bytes: float
    flash_bytes: int
    energy: float


@dataclass(frozen=True, eq=False)
class Step:
    """One epoch in one state of the memory; made once, then compared by identity.

    Args:
        epoch: what runs.
        placement: where its blocks went.
        costs: what it costs.
    """

    epoch: Epoch
    placement: Placement
    costs: EpochCosts

    @property
    def state(self) -> int:
        """The memory it leaves."""
        return self.placement.state

    @property
    def marks(self) -> tuple[int, ...]:
        """Per pool, bytes up to the highest block that came into use."""
        return self.placement.marks

    @property
    def live_bytes(self) -> int:
        """Most bytes in use while it runs or its weights arrive."""
        return self.placement.live_bytes

    @property
    def cycles(self) -> float:
        """NPU cycles, waiting for preloaded weights left out."""
        return self.costs.cycles

    @cached_property
    def rows(self) -> tuple[tuple[str, dict[str, float]], ...]:
        """Per operation its name and what it costs, with nothing waited for.

        Operations of one epoch share its cycles by the cycles of their own units.
        """
        demands, costs = self.epoch.demands, self.costs
        total = sum(demand.compute for demand in demands)
        rows = []
        for name, demand in zip(self.epoch.span.names, demands, strict=True):
            share = demand.compute / total if total else 1 / len(demands)
            row = {
                "cycles": costs.cycles * share,
                "compute_cycles": demand.compute,
                "ram_cycles": costs.ram_cycles * share,
                "flash_cycles": costs.flash_cycles * share,
                "wait_cycles": 0.0,
                "macs": demand.macs,
                "live_bytes": self.placement.live_bytes,
                "ram_bytes": sum(self.placement.marks),
                "flash_bytes": demand.stored,
            }
            rows.append((name, row))
        return tuple(rows)


class Machine:
    """A hardware with a memory policy and a cost rule, running the epochs of one graph."""

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
        self._numbers: dict[Live, int] = {}
        self._living: dict[tuple[int, int], int] = {}
        self._placements: dict[tuple[int, Span, str, int, int], Placement] = {}
        self._traffics: dict[Any, Traffic] = {}
        self._steps: dict[tuple[int, Epoch], Step] = {}
        self.start = self._number(self._inputs())
        self.first_marks = memory.high_water(self._states[self.start])
        """Per pool, what the network's inputs take."""

    def live(self, state: int) -> Live:
        """The blocks in use in a state."""
        return self._states[state]

    def step(self, state: int, epoch: Epoch) -> Step:
        """Runs an epoch.

        Raises:
            CompilerError: where its output fits into no pool.
        """
        key = (state, epoch)
        step = self._steps.get(key)
        if step is None:
            if len(self._steps) > _MOST_REMEMBERED:
                self._steps.clear()
                self._placements.clear()
            step = self._steps[key] = self._cost(epoch, self._placement(state, epoch))
        return step

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

    def _placement(self, state: int, epoch: Epoch) -> Placement:
        total, prefer = epoch.total, epoch.choices[-1].output_pool
        if not total.buffer:
            # Blocks that were read last in the epoch before only matter to weights that arrive.
            state = self._still_in_use(state, epoch.span.first)
        key = (state, epoch.span, prefer, total.buffer, total.workspace)
        placement = self._placements.get(key)
        if placement is None:
            placement = self._place_all(
                self._states[state],
                epoch.span,
                prefer=prefer,
                buffer_bytes=total.buffer,
                workspace_bytes=total.workspace,
            )
            self._placements[key] = placement
        return placement

    def _still_in_use(self, state: int, position: int) -> int:
        """The state without the blocks that no operation from a position on needs."""
        key = (state, position)
        found = self._living.get(key)
        if found is None:
            live = tuple(block for block in self._states[state] if block.last >= position)
            found = self._living[key] = self._number(live)
        return found

    def _place_all(
        self, before: Live, span: Span, *, prefer: str, buffer_bytes: int, workspace_bytes: int
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
        reading = tuple(blocks[name].start for name, _ in span.inputs)
        output = self._place(
            live, reading, Block(0, span.output_bytes, self._last_use[span.output], span.output),
            span=span, prefer=prefer,
        )  # fmt: skip
        live = with_block(live, output)
        placed.insert(0, output)
        sums = None
        if workspace_bytes:
            wanted = Block(0, workspace_bytes, span.last, f"partial sums of {span.output}")
            sums = self._place(live, reading, wanted, span=span, prefer=AUTO)
            live = with_block(live, sums)
            placed.append(sums)
        inputs = tuple(blocks[name] for name, _ in span.inputs)
        return Placement(
            # What the epoch reads is still in use while the next one's weights arrive.
            state=self._number(live),
            placed=tuple(placed),
            marks=self.memory.high_water(placed),
            live_bytes=max(most_live, live_bytes(live)),
            preloads=buffer is not None,
            traffic=self._traffic(span, inputs, (output, buffer, sums)),
        )

    def _traffic(
        self, span: Span, inputs: tuple[Block, ...], others: tuple[Block | None, ...]
    ) -> Traffic:
        """What the streams cost, which depends on pools and not on addresses."""
        where = self.memory.where
        read = tuple(where(block.start, block.end).pieces for block in inputs)
        output, buffer, sums = (
            None if block is None else where(block.start, block.end).pieces for block in others
        )
        key = (span, read, output, buffer, sums)
        traffic = self._traffics.get(key)
        if traffic is None:
            sizes = (size for _, size in span.inputs)
            traffic = self._traffics[key] = Traffic.of(
                self.memory.pools,
                tuple(zip(read, sizes, strict=True)),
                (output or (), span.output_bytes),
                buffer=buffer,
                sums=sums,
            )
        return traffic

    def _weight_buffer(self, before: Live, span: Span, size: int) -> Block | None:
        """Room for preloaded weights on the chip; without it they are streamed after all."""
        start = self.memory.place(before, size)
        if start is None or is_external(self.memory.pool_at(start)):
            return None
        return Block(start, start + size, span.last, f"weights for {span.output}")

    def _place(
        self, live: Live, reading: tuple[int, ...], wanted: Block, *, span: Span, prefer: str
    ) -> Block:
        """Finds an address for a block that starts at 0.

        Raises:
            CompilerError: where there is none.
        """
        start = self.memory.place(live, wanted.end, prefer=prefer, reads=reading)
        if start is None:
            operation = self.graph.operations[span.last].name
            raise _no_room(f"the output of {operation!r}", wanted.end)
        return Block(start, start + wanted.end, wanted.last, wanted.name)

    def _cost(self, epoch: Epoch, placement: Placement) -> Step:
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
        internal, external, moving = traffic.moved(total.reads, fetched, total.partial, filled)
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


def _no_room(what: str, size: int) -> CompilerError:
    return CompilerError(
        f"No memory pool has room for {what} ({size} bytes).",
        remedy="Allow external RAM or virtual pools, or take a smaller input.",
        size_bytes=size,
    )
