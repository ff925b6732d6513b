"""Simulates epochs one after the other: places their blocks in memory and computes their costs.

The blocks in use between two epochs are a state. Where an epoch's blocks are placed depends on
the state before it and on their sizes alone; what the epoch costs depends on that and on its
demands. So both are cached, and a configuration that differs from earlier ones in one layer costs
little more than looking up the rest.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.layout import Layout, Resident
from npu_tune.targets.neural_art.compiler.placement import Live, Memory
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.step import EpochCosts, Placement, Step
from npu_tune.targets.neural_art.compiler.traffic import Traffic
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware

_MOST_STATES = 100_000
"""States after which a machine counts as full: some tens of megabytes."""

_Placed = tuple[Placement, int]

_CACHED_STEPS = 50_000
"""Steps after which the cache is emptied, so that long studies do not fill the memory."""


class Beginning(NamedTuple):
    """The memory before the first epoch.

    Args:
        state: number of its state.
        marks: per pool, bytes up to the end of the highest block.
        without: names of the operations whose resident weights found no room.
    """

    state: int
    marks: tuple[int, ...]
    without: frozenset[str] = frozenset()


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
        self._layout = Layout(graph, memory)
        self._flash_power = hardware.flash.read_power
        self._rule = rule
        self._states: list[Live] = []
        self._state_numbers: dict[Live, int] = {}
        self._without_dead: dict[tuple[int, int], int] = {}
        self._placements: dict[Hashable, _Placed] = {}
        self._steps: dict[tuple[int, Epoch], Step] = {}
        self._beginnings: dict[tuple[Resident, ...], Beginning] = {}
        self._inputs = self._layout.inputs()
        self.start = self._state_number(self._inputs)
        """State of the memory with the network's inputs alone."""

    def beginning(self, residents: tuple[Resident, ...] = ()) -> Beginning:
        """The memory with the network's inputs and resident weights."""
        found = self._beginnings.get(residents)
        if found is None:
            live, without = self._layout.residents(self._inputs, residents)
            found = self._beginnings[residents] = Beginning(
                self._state_number(live), self.memory.high_water(live), without
            )
        return found

    @property
    def is_full(self) -> bool:
        """True where so much is remembered that a new machine should take over."""
        return len(self._states) > _MOST_STATES

    def live(self, state: int) -> Live:
        """The blocks in use in a state."""
        return self._states[state]

    def drop_dead_blocks(self, state: int, position: int) -> int:
        """Number of the state without the blocks that no operation from a position on reads."""
        key = (state, position)
        found = self._without_dead.get(key)
        if found is None:
            live = tuple(block for block in self._states[state] if block.last >= position)
            found = self._without_dead[key] = self._state_number(live)
        return found

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
                self._layout.forget()
                self._beginnings.clear()
            step = self._steps[key] = self._cost(epoch, *self._placement(state, epoch))
        return step

    def _state_number(self, live: Live) -> int:
        number = self._state_numbers.get(live)
        if number is None:
            number = self._state_numbers[live] = len(self._states)
            self._states.append(live)
        return number

    def _placement(self, state: int, epoch: Epoch) -> _Placed:
        total = epoch.total
        if not total.buffer:
            # Blocks last read by the epoch before only stand in the way of preloaded weights.
            state = self.drop_dead_blocks(state, epoch.span.first)
        key: Hashable = (state, epoch)
        if epoch.segment is None:
            prefer = epoch.choices[-1].output_pool
            key = (state, epoch.span, prefer, total.buffer, total.workspace, epoch.residents)
        placed = self._placements.get(key)
        if placed is None:
            placement, live = self._layout.place(self._states[state], epoch)
            placed = self._placements[key] = placement, self._state_number(live)
        return placed

    def _cost(self, epoch: Epoch, placement: Placement, state: int) -> Step:
        """Costs a placed epoch; a segment costs what its members do, one behind the other."""
        members = tuple(
            self._costs(member, traffic, preloads=placement.preloads and member.total.buffer > 0)
            for member, traffic in zip(epoch.members, placement.traffics, strict=True)
        )
        costs = members[0]
        if len(members) > 1:
            sums = EpochCosts(*map(sum, zip(*members, strict=True)))
            # The next weights arrive while the last one runs for the last time.
            slack = members[-1].slack / epoch.members[-1].total.parts
            costs = sums._replace(slack=slack)
        return Step(epoch, state, placement, members, costs)

    def _costs(self, epoch: Epoch, traffic: Traffic, *, preloads: bool) -> EpochCosts:
        """Costs a single epoch: the slowest of units, memories and flash sets its cycles."""
        rule, total, span = self._rule, epoch.total, epoch.span
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
        return EpochCosts(
            serial + busy + fixed,
            busy - flash,
            arriving * rate,
            compute,
            ram,
            flash + serial,
            fixed,
            internal,
            external,
            from_flash,
            total.energy + moving + from_flash * self._flash_power,
        )
