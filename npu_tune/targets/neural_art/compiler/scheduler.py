"""Schedules a graph: groups operations and choices into epochs and simulates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from npu_tune.targets.neural_art.compiler.choice import (
    DIMC,
    RELOAD,
    RESIDENT,
    STREAM,
    Choice,
    effective_choice,
    shares_of,
)
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import Epoch, make_epoch
from npu_tune.targets.neural_art.compiler.grouping import Grouping, Option
from npu_tune.targets.neural_art.compiler.layout import Resident
from npu_tune.targets.neural_art.compiler.machine import Beginning, Machine
from npu_tune.targets.neural_art.compiler.packed import planned_memory
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE, FIRST_FIT, Memory
from npu_tune.targets.neural_art.compiler.rows import WHOLE, Cut
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.step import Step
from npu_tune.targets.neural_art.compiler.tiles import tiles_needed
from npu_tune.targets.neural_art.compiler.work import demand_of, shape_of
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


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """What will run.

    Args:
        epochs: in execution order.
        residents: weights that are in RAM for good.
    """

    epochs: tuple[Epoch, ...]
    residents: tuple[Resident, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A simulated inference.

    Args:
        machine: that simulated it.
        beginning: of the inference, with all inputs and resident weights in memory.
        steps: one per epoch.
        waits: per epoch, cycles of waiting for its preloaded weights.
    """

    machine: Machine
    beginning: Beginning
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
        self.grouping = Grouping(graph, hardware.units, self.demand)
        self._options: list[dict[Any, Option]] = [{} for _ in graph.operations]
        total = sum(operation.macs for operation in graph.operations) or 1
        self._whole = [
            operation.macs / total < settings.split_threshold for operation in graph.operations
        ]
        self.machine = self._new_machine()

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
            asked = choice
            if self._whole[position]:
                choice = choice._replace(accelerators=1, parts=1)
            shape, shares = self._shapes[position], self._shares[position]
            choice = effective_choice(choice, shape, shares, self.hardware)
            if not self.grouping.joinable[position]:
                choice = choice._replace(chain=False)
            demand = self.demand(position, choice, WHOLE, free_tiles=free_tiles)
            alone = make_epoch(self.grouping.span(position, position), (choice,), (demand,))
            known = self._options[position][key] = Option(asked, choice, demand, alone)
        return known

    def demand(self, position: int, choice: Choice, cut: Cut, *, free_tiles: int = 0) -> Demand:
        return demand_of(
            self.graph.operations[position],
            self._shapes[position],
            choice,
            self.hardware,
            free_tiles=free_tiles,
            cut=cut,
        )

    def plan(self, options: Sequence[Option]) -> EpochPlan:
        """Groups operations into epochs and finds out whose resident weights have room.

        Resident weights for which there is none are streamed.
        """
        residents = self._residents(options)
        if residents:
            without = self.machine.beginning(residents).without
            if without:
                residents = tuple(each for each in residents if each.operation not in without)
                options = [
                    self._streaming(position, option)
                    if self.graph.operations[position].name in without
                    else option
                    for position, option in enumerate(options)
                ]
        return EpochPlan(tuple(self.grouping.epochs(options)), residents)

    def run(self, options: Sequence[Option]) -> Run:
        """Simulates an inference with one option per operation.

        Raises:
            CompilerError: if a block fits into no pool.
        """
        if self.machine.is_full:
            self.machine = self._new_machine()
        plan = self.plan(options)
        machine = self.machine
        if self.settings.placement == BY_SIZE:
            machine = self._packed_machine(plan) or machine
        beginning = machine.beginning(plan.residents)
        steps, waits = [], []
        state, slack = beginning.state, 0.0
        for epoch in plan.epochs:
            step = machine.step(state, epoch)
            costs = step.costs
            waits.append(max(0.0, costs.preloading - slack))
            steps.append(step)
            state, slack = step.state, costs.slack
        return Run(machine, beginning, tuple(steps), tuple(waits))

    def _residents(self, options: Sequence[Option]) -> tuple[Resident, ...]:
        return tuple(
            [
                Resident(
                    self.graph.operations[position].name,
                    option.demand.resident,
                    option.choice.weights_pool,
                )
                for position, option in enumerate(options)
                if option.demand.resident
            ]
        )

    def _streaming(self, position: int, option: Option) -> Option:
        """The option with weights from flash."""
        choice = option.asked._replace(weights=STREAM)
        return self.option(position, choice)

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

    def _packed_machine(self, plan: EpochPlan) -> Machine | None:
        """A machine with memory packed for these epochs; None if internal RAM is too small."""
        if not self.settings.virtual_pools:
            return None
        memory = planned_memory(
            self.graph,
            self.hardware,
            plan.epochs,
            plan.residents,
            external=self.settings.external_ram,
        )
        return None if memory is None else Machine(self.graph, self.hardware, self._rule, memory)

    def _new_machine(self) -> Machine:
        placement = self.settings.placement
        memory = Memory(
            self.hardware,
            virtual_pools=self.settings.virtual_pools,
            policy=FIRST_FIT if placement == BY_SIZE else placement,
            external=self.settings.external_ram,
        )
        return Machine(self.graph, self.hardware, self._rule, memory)
