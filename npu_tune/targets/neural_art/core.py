"""One network on one target: its space, and configurations run through the compiler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from npu_tune.errors import IllegalConfigurationError
from npu_tune.network import Network
from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets.neural_art.compiler.choice import DIMC, NEUTRAL, Choice
from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.grouping import Option
from npu_tune.targets.neural_art.compiler.placement import (
    AUTO,
    BY_SIZE,
    FIRST_FIT,
)
from npu_tune.targets.neural_art.compiler.rule import cost_rule, memories_of
from npu_tune.targets.neural_art.compiler.scheduler import Run, Scheduler, Settings
from npu_tune.targets.neural_art.free import ChoiceSpace, order_of
from npu_tune.targets.neural_art.graph import CORE_4_0, OperationGraph, compiled_by, graph_of
from npu_tune.targets.neural_art.hardware import Hardware, HardwareVariants
from npu_tune.targets.neural_art.knobs import PLACEMENT, joined_by_default
from npu_tune.targets.neural_art.orders import in_order, with_loads
from npu_tune.targets.neural_art.vendor import VendorSetting, vendor_settings

_OUTSIDE: Mapping[str, Any] = {
    name: getattr(NEUTRAL, name) for name in ("depth_first", "stripes", "halo")
}
"""What has no effect outside of segments."""

_Items = tuple[tuple[str, Value], ...]

_MOST_OPTIONS = 20_000
"""Choices that are remembered before all is forgotten, so that a long search needs some tens of
megabytes; a search that changes few layers at a time never gets there."""


@dataclass(slots=True, eq=False)
class _Compiled:
    """A scheduler with what it knows of the knob values of each operation.

    Args:
        scheduler: for one choice of the network-wide knobs.
        ranges: per operation in the scheduler's order, where its knobs stand in a configuration.
        bases: per operation, the choice but for its own knobs.
        known: per operation, the option that its knob values state.
        shown: per operation, by its choice and its place, its items in a configuration.
    """

    scheduler: Scheduler
    ranges: tuple[tuple[int, int], ...]
    bases: tuple[Choice, ...]
    known: tuple[dict[_Items, Option], ...]
    shown: tuple[dict[tuple[Choice, bool, bool], _Items], ...]


class NetworkCompiler:
    """The compiler of one network; remembers what configurations have in common.

    Args:
        network: ONNX or TFLite.
        variants: the hardware, and what of it may be chosen.
        rule: ``calibrated`` or ``vendor``.
        choices: what configurations choose, and what that means.
        core: version of the vendor's compiler that is modelled.
    """

    def __init__(
        self,
        network: Network,
        variants: HardwareVariants,
        *,
        rule: str,
        choices: ChoiceSpace,
        core: str = CORE_4_0,
    ) -> None:
        self.graph: OperationGraph = with_loads(compiled_by(graph_of(network), core))
        self._variants = variants
        self.rule = rule
        self._choices = choices
        self._schedulers: dict[tuple[str, Settings, tuple[Value, ...]], Scheduler] = {}
        self._compiled: dict[_Items, _Compiled] = {}
        self._remembered = 0
        self._hardware: dict[tuple[Value, ...], Hardware] = {}
        self._hardware_defaults = tuple(
            (knob.full_name, knob.default) for knob in variants.knobs()
        )
        self._network_knobs = (*choices.network_knobs(self.graph), *variants.knobs())
        hardware = self.every_hardware()
        wanted = [joined_by_default(self.graph, i) for i in range(len(self.graph.operations))]
        self._set_space(hardware, wanted)
        # Units may not suffice for every wish; the default says what really happens.
        compiled, options = self._options(self.space.default)
        joined = _joined(compiled.scheduler.plan(options).epochs)
        is_joined = [position in joined for position in range(len(wanted))]
        if is_joined != wanted:
            self._set_space(hardware, is_joined)

    def _set_space(self, hardware: tuple[Hardware, ...], chained: list[bool]) -> None:
        per_layer = self._choices.layer_knobs(self.graph, hardware, chained)
        first = len(self._network_knobs)
        self._places: dict[str, tuple[int, int]] = {}
        for operation, knobs in zip(self.graph.operations, per_layer, strict=True):
            self._places[operation.name] = (first, first + len(knobs))
            first += len(knobs)
        self.space = SearchSpace(
            (*self._network_knobs, *(knob for knobs in per_layer for knob in knobs)),
            effective=self._effective,
        )
        self.forget()

    def run(self, configuration: Configuration) -> Run:
        """Compiles and simulates a configuration.

        Raises:
            CompilerError: where something fits into no pool.
        """
        compiled, options = self._options(configuration)
        return compiled.scheduler.run(options)

    def hardware(self, configuration: Mapping[str, Value]) -> Hardware:
        """The hardware that a configuration chooses."""
        if not self._hardware_defaults:
            return self._variants.base
        values = tuple(configuration.get(name, own) for name, own in self._hardware_defaults)
        found = self._hardware.get(values)
        if found is None:
            found = self._hardware[values] = self._variants.hardware(configuration)
        return found

    def every_hardware(self) -> tuple[Hardware, ...]:
        """That of the default, then those with the smallest and the largest of what may be chosen."""
        ends = ({}, *({k.full_name: k.values[i] for k in self._variants.knobs()} for i in (0, -1)))
        return tuple(self._variants.hardware(each) for each in ends)

    def scheduler(self, configuration: Configuration) -> Scheduler:
        """The compiler for the network-wide knobs of a configuration."""
        return self._compiler(configuration.items_[: len(self._network_knobs)]).scheduler

    def choices(self, configuration: Configuration) -> tuple[Choice, ...]:
        """The choice of each operation that a configuration asks for, in the compiler's order."""
        return tuple(option.asked for option in self._options(configuration)[1])

    def new_scheduler(
        self, graph: OperationGraph, settings: Settings, *, hardware: Hardware | None = None
    ) -> Scheduler:
        """A compiler of a graph for the base hardware, or for another one."""
        hardware = memories_of(self.rule, hardware or self._variants.base)
        return Scheduler(graph, hardware, cost_rule(self.rule, hardware), settings)

    @cached_property
    def vendor_settings(self) -> list[VendorSetting]:
        """Every network-wide setting of the vendor's compiler, on the base hardware."""
        return vendor_settings(
            self.graph, self.new_scheduler, external_ram=self._choices.external_ram
        )

    def forget(self) -> None:
        """Releases all that is remembered of configurations; what is asked again is made again."""
        self._compiled.clear()
        self._schedulers.clear()
        self._hardware.clear()
        self._remembered = 0

    def _options(self, configuration: Configuration) -> tuple[_Compiled, list[Option]]:
        if self._remembered > _MOST_OPTIONS:
            self.forget()
        items = configuration.items_
        compiled = self._compiler(items[: len(self._network_knobs)])
        options: list[Option] = []
        in_memory = False
        for position, (start, stop) in enumerate(compiled.ranges):
            values = items[start:stop]
            option = compiled.known[position].get(values)
            if option is None:
                option = self._read(compiled, position, values)
            options.append(option)
            in_memory = in_memory or option.asked.unit == DIMC
        if in_memory:
            options = compiled.scheduler.resolve([option.asked for option in options])
        return compiled, options

    def _compiler(self, chosen: _Items) -> _Compiled:
        compiled = self._compiled.get(chosen)
        if compiled is None:
            values = dict(chosen)
            for knob in self._network_knobs:
                _require(knob, values)
            scheduler = self._scheduler(values)
            graph, hardware = scheduler.graph, scheduler.hardware
            ranges = tuple(self._places[operation.name] for operation in graph.operations)
            bases = self._choices.choices(graph, hardware, values)
            compiled = _Compiled(
                scheduler, ranges, bases, tuple({} for _ in ranges), tuple({} for _ in ranges)
            )
            self._compiled[chosen] = compiled
        return compiled

    def _scheduler(self, values: Mapping[str, Value]) -> Scheduler:
        order, settings = order_of(values), self._choices.settings(values)
        hardware = tuple(values.get(name, own) for name, own in self._hardware_defaults)
        key = (order, settings, hardware)
        found = self._schedulers.get(key)
        if found is None:
            found = self._schedulers[key] = self.new_scheduler(
                in_order(self.graph, order), settings, hardware=self.hardware(values)
            )
        return found

    def _read(self, compiled: _Compiled, position: int, values: _Items) -> Option:
        skip = len(compiled.scheduler.graph.operations[position].name) + 1
        named: dict[str, Any] = {name[skip:]: value for name, value in values}
        choice = compiled.bases[position]._replace(**named)
        option = compiled.scheduler.option(position, choice)
        compiled.known[position][values] = option
        self._remembered += 1
        return option

    def _effective(self, configuration: Configuration) -> Configuration:
        compiled, options = self._options(configuration)
        epochs = compiled.scheduler.plan(options).epochs
        joined = _joined(epochs)
        items = list(configuration.items_)
        settings = compiled.scheduler.settings
        if settings.placement == BY_SIZE and not settings.virtual_pools:
            # Blocks cannot be placed together where they may not span pools.
            by_size = (f"{NETWORK_SCOPE}/{PLACEMENT}", BY_SIZE)
            items[items.index(by_size)] = (by_size[0], FIRST_FIT)
        for epoch in epochs:
            inside = epoch.segment is not None
            for position, choice in enumerate(epoch.choices, start=epoch.first):
                start, stop = compiled.ranges[position]
                key = (choice, inside, position in joined)
                shown = compiled.shown[position].get(key)
                if shown is None:
                    shown = compiled.shown[position][key] = _shown(items[start:stop], *key)
                    self._remembered += 1
                items[start:stop] = shown
        return Configuration(tuple(items))


def _shown(
    items: Iterable[tuple[str, Value]], choice: Choice, inside: bool, joined: bool
) -> _Items:
    """An operation's choice without what has no effect, as items of a configuration.

    Args:
        items: its items, of which only the names count.
        choice: of the operation.
        inside: whether it is in a depth-first segment.
        joined: whether it shares an epoch with the next operation.
    """
    # What is handed on within an epoch lies in no pool.
    pool = AUTO if joined else choice.output_pool
    values = choice if inside else choice._replace(**_OUTSIDE)
    values = values._replace(chain=joined, output_pool=pool)
    return tuple((name, getattr(values, name.rpartition("/")[2])) for name, _ in items)


def _joined(epochs: Iterable[Epoch]) -> set[int]:
    """Positions of operations that share an epoch with the next one."""
    return {
        position
        for epoch in epochs
        for member in epoch.members
        for position in range(member.first, member.last)
    }


def _require(knob: Knob, values: Mapping[str, Value]) -> None:
    if values.get(knob.full_name) not in knob.values:
        raise IllegalConfigurationError(
            f"The configuration gives {knob.full_name!r} no value it has.",
            remedy="Make configurations with SearchSpace.configuration.",
            knob=knob.full_name,
        )
