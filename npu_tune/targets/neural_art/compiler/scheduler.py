"""Schedules a graph: groups operations and choices into epochs and simulates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from npu_tune.targets.neural_art.compiler.choice import (
    DIMC,
    RELOAD,
    RESIDENT,
    Choice,
    effective_choice,
    shares_of,
)
from npu_tune.targets.neural_art.compiler.demand import (
    Demand,
    demand_of,
    shape_of,
    tiles_needed,
)
from npu_tune.targets.neural_art.compiler.epoch import (
    Epoch,
    Span,
    joinable,
    make_epoch,
    make_span,
    may_join,
)
from npu_tune.targets.neural_art.compiler.machine import Machine
from npu_tune.targets.neural_art.compiler.packing import MemoryRequest, addresses
from npu_tune.targets.neural_art.compiler.placement import (
    BY_SIZE,
    FIRST_FIT,
    Live,
    Memory,
)
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.step import Step
from npu_tune.targets.neural_art.graph import OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Hardware


@dataclass(frozen=True, slots=True)
class Settings:
    """The network-wide choices.

    Args:
        placement: policy of :mod:`.placement`.
        virtual_pools: whether a block may span adjacent pools.
        split_threshold: share of the network's multiply-accumulates below which a convolution is
            not split, neither over accelerators nor into parts.
        external_ram: whether RAM outside the chip may be used.
    """

    placement: str
    virtual_pools: bool
    split_threshold: float
    external_ram: bool


@dataclass(slots=True, eq=False)
class Option:
    """A choice for one operation with its demand; compared by identity.

    Args:
        asked: the choice as requested.
        choice: the effective choice.
        demand: of the operation.
        alone: the epoch of this operation only.
    """

    asked: Choice
    choice: Choice
    demand: Demand
    alone: Epoch


@dataclass(frozen=True, slots=True)
class Run:
    """A simulated inference.

    Args:
        machine: that simulated it.
        steps: one per epoch.
        waits: per epoch, cycles of waiting for its preloaded weights.
    """

    machine: Machine
    steps: tuple[Step, ...]
    waits: tuple[float, ...]


class Scheduler:
    """The compiler of one graph for one hardware, cost rule and settings."""

    def __init__(
        self, graph: OperationGraph, hardware: Hardware, rule: CostRule, settings: Settings
    ) -> None:
        self.graph = graph
        self.hardware = hardware
        self.settings = settings
        self._rule = rule
        self._shapes = [shape_of(operation, graph) for operation in graph.operations]
        self._shares = [shares_of(shape) for shape in self._shapes]
        self._joinable = [joinable(graph, i) for i in range(len(graph.operations))]
        self._options: list[dict[Any, Option]] = [{} for _ in graph.operations]
        self._spans: dict[tuple[int, int], Span] = {}
        self._joined: dict[tuple[int, tuple[Option, ...]], Epoch | None] = {}
        total = sum(operation.macs for operation in graph.operations) or 1
        self._whole = [
            operation.macs / total < settings.split_threshold for operation in graph.operations
        ]
        policy = FIRST_FIT if settings.placement == BY_SIZE else settings.placement
        memory = Memory(
            hardware,
            virtual_pools=settings.virtual_pools,
            policy=policy,
            external=settings.external_ram,
        )
        self.machine = Machine(graph, hardware, rule, memory)

    def option(self, position: int, choice: Choice, free_tiles: int = 0) -> Option:
        """The effective form and demand of a choice; the same object for the same arguments.

        Args:
            position: of the operation.
            choice: as requested.
            free_tiles: number of tiles without resident weights.
        """
        key = (choice, free_tiles)
        known = self._options[position].get(key)
        if known is None:
            operation, asked = self.graph.operations[position], choice
            if self._whole[position]:
                choice = choice._replace(accelerators=1, parts=1)
            shape, shares = self._shapes[position], self._shares[position]
            choice = effective_choice(choice, shape, shares, self.hardware)
            if not self._joinable[position]:
                choice = choice._replace(chain=False)
            demand = demand_of(operation, shape, choice, self.hardware, free_tiles=free_tiles)
            alone = make_epoch(self._span(position, position), (choice,), (demand,))
            known = self._options[position][key] = Option(asked, choice, demand, alone)
        return known

    def epochs(self, options: Sequence[Option]) -> list[Epoch]:
        """Groups operations into epochs: each continues while chained and the units suffice."""
        epochs: list[Epoch] = []
        position, end = 0, len(options)
        while position < end:
            option = options[position]
            epoch = option.alone
            size = 1
            while option.choice.chain and position + size < end:
                run = tuple(options[position : position + size + 1])
                joined = self._join(position, run)
                if joined is None:
                    break
                epoch, option = joined, run[-1]
                size += 1
            epochs.append(epoch)
            position += size
        return epochs

    def _join(self, position: int, run: tuple[Option, ...]) -> Epoch | None:
        key = (position, run)
        if key not in self._joined:
            span = self._span(position, position + len(run) - 1)
            choices = tuple([option.choice for option in run])
            demands = tuple([option.demand for option in run])
            fits = may_join(span, choices, demands, self.hardware.units)
            self._joined[key] = make_epoch(span, choices, demands) if fits else None
        return self._joined[key]

    def _span(self, first: int, last: int) -> Span:
        span = self._spans.get((first, last))
        if span is None:
            span = self._spans[first, last] = make_span(self.graph, first, last)
        return span

    def run(self, options: Sequence[Option]) -> Run:
        """Simulates an inference with one option per operation.

        Raises:
            CompilerError: if a block fits into no pool.
        """
        epochs = self.epochs(options)
        machine = self.machine
        if self.settings.placement == BY_SIZE:
            machine = self._pack_memory(epochs) or machine
        steps, waits = [], []
        state, slack = machine.start, 0.0
        for epoch in epochs:
            step = machine.step(state, epoch)
            costs = step.costs
            waits.append(max(0.0, costs.preloading - slack))
            steps.append(step)
            state, slack = step.placement.state, costs.slack
        return Run(machine, tuple(steps), tuple(waits))

    def resolve(self, choices: Sequence[Choice]) -> list[Option]:
        """The options of a choice per operation; assigns in-memory-computing tiles in order.

        Weights that do not fit into the remaining tiles are reloaded for every inference; if no
        tile is left for that either, accelerators compute the layer.
        """
        dimc = self.hardware.dimc
        if dimc is None or not any(choice.unit == DIMC for choice in choices):
            return [self.option(i, choice) for i, choice in enumerate(choices)]
        free = dimc.tiles
        resolved = list(choices)
        for position, choice in enumerate(choices):
            if choice.unit != DIMC or choice.dimc_residency != RESIDENT:
                continue
            operation, shape = self.graph.operations[position], self._shapes[position]
            needed = tiles_needed(operation, shape, choice, dimc) * choice.dimc_copies
            if shape.kind is OperationKind.CONVOLUTION and needed <= free:
                free -= needed
            else:
                resolved[position] = choice._replace(dimc_residency=RELOAD)
        if not free:
            resolved = [
                choice._replace(unit="accelerator")
                if choice.unit == DIMC and choice.dimc_residency == RELOAD
                else choice
                for choice in resolved
            ]
        return [
            self.option(i, choice, free if choice.unit == DIMC else 0)
            for i, choice in enumerate(resolved)
        ]

    def _pack_memory(self, epochs: Sequence[Epoch]) -> Machine | None:
        """A machine with memory packed for these epochs; None if internal RAM is too small."""
        planned = None
        if self.settings.virtual_pools:
            planned = addresses(self.hardware, self._requests(epochs))
        if planned is None:
            return None
        memory = _PlannedMemory(self.hardware, self.settings, planned)
        return Machine(self.graph, self.hardware, self._rule, memory)

    def _requests(self, epochs: Sequence[Epoch]) -> list[MemoryRequest]:
        """The blocks that the machine will place, in the same order."""
        graph, end = self.graph, len(epochs) - 1
        at = {p: i for i, e in enumerate(epochs) for p in range(e.first, e.last + 1)}

        def last(name: str) -> int:
            return end if name in graph.outputs else max(at[p] for p in graph.readers[name])

        requests = [
            MemoryRequest(graph.maps[name].size_bytes, 0, last(name)) for name in graph.inputs
        ]
        for index, epoch in enumerate(epochs):
            if epoch.total.buffer:
                requests.append(MemoryRequest(epoch.total.buffer, max(index - 1, 0), index))
            requests.append(MemoryRequest(epoch.span.output_bytes, index, last(epoch.span.output)))
            requests += [
                MemoryRequest(size, index, last(name)) for name, size in epoch.span.further
            ]
            requests += [
                MemoryRequest(size, index, index) for size in sorted(epoch.total.workspace)
            ]
        return requests


class _PlannedMemory(Memory):
    """Returns addresses that were planned before, in order."""

    def __init__(self, hardware: Hardware, settings: Settings, addresses: Sequence[int]) -> None:
        super().__init__(
            hardware, virtual_pools=True, policy=FIRST_FIT, external=settings.external_ram
        )
        self._next = iter(addresses)

    def place(self, live: Live, size: int, *, prefer: str = "auto", reads: Any = ()) -> int | None:  # noqa: ARG002 - planned before
        return next(self._next)
