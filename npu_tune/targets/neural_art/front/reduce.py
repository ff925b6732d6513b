"""Reduces the epochs that the knobs can make at each position to the nondominated ones.

The machine sees an epoch as a span, a preferred kind of pool and a
:class:`~npu_tune.targets.neural_art.compiler.demand.Demand`. Placement depends only on the span,
the preference, and the demand's ``buffer`` and ``workspace``. Given these, the step's cycles, the
cycles of flash while it runs (cycles - slack), its preloading and its energy never fall when another
field of the demand rises. So among epochs of equal span, preference, buffer and workspace, one whose
other fields are all at most another's dominates it, whatever the rest of the network does. For the
beginning of an epoch that is joined with more operations, the units in use are compared too: an
epoch's demand is the largest ``compute`` and the sum of everything else, and the conditions for
joining are upper limits on sums, so that whatever can join the beginning that uses more units can
also join the other one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from npu_tune.pareto import nondominated
from npu_tune.space import SearchSpace, Value
from npu_tune.targets.neural_art.compiler.choice import ACCELERATOR, DIMC, RESIDENT, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import Epoch, Span, make_epoch, make_span, may_join
from npu_tune.targets.neural_art.compiler.grouping import Option
from npu_tune.targets.neural_art.compiler.placement import AUTO
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler

CHAIN = "chain"
OUTPUT_POOL = "output_pool"
UNIT = "unit"
WEIGHTS = "weights"

DEPTH_FIRST = "depth_first"
_LEFT_OUT = frozenset({DEPTH_FIRST, "stripes", "halo", "weights_pool"})
"""Knobs of what no label can tell apart: segments, and weights that are in RAM from the start."""

_Fields = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An epoch that may be part of a Pareto-optimal path.

    Args:
        options: one per operation; all but the last are chained.
        epoch: of these options.
    """

    options: tuple[Option, ...]
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Reduced:
    """The nondominated epochs of a network.

    Args:
        candidates: by the position of the first operation.
        configurations: number of combinations of the per-layer knobs, before any reduction.
        on_accelerators_only: whether layers could also be computed in memory, which is left out.
        segments: whether layers may go on depth-first, of which nothing is here.
        residents: whether weights may be in RAM for good.
    """

    candidates: tuple[tuple[Candidate, ...], ...]
    configurations: int
    on_accelerators_only: bool
    segments: bool
    residents: bool


@dataclass(frozen=True, slots=True)
class Dominance:
    """Which epochs dominate others.

    Args:
        group: fields that must be equal.
        epoch: fields that must be at most equal.
        part: the same, for the beginning of an epoch that others may join.
        placed: whether it matters which kind of pool the output prefers.
        residents: whether weights may be in RAM for good.
    """

    group: Callable[[Demand], Hashable]
    epoch: Callable[[Demand], _Fields]
    part: Callable[[Demand], _Fields]
    placed: bool
    residents: bool


def reduce_epochs(
    scheduler: Scheduler,
    space: SearchSpace,
    *,
    dominance: Dominance | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reduced:
    """Finds the nondominated epochs that the per-layer knobs can make at each position.

    Args:
        scheduler: for given network-wide knobs.
        space: gives the values of the per-layer knobs.
        dominance: :data:`SIMULATED` if None.
        progress: is told how many positions are done, of how many.
    """
    dominance = dominance or SIMULATED
    knobs = knobs_by_layer(space)
    segments = any(True in own.get(DEPTH_FIRST, ()) for own in knobs.values())
    residents = any(RESIDENT in own.get(WEIGHTS, ()) for own in knobs.values())
    for own in knobs.values():
        for name in _LEFT_OUT & own.keys():
            del own[name]
        if not dominance.residents and WEIGHTS in own:
            own[WEIGHTS] = tuple(v for v in own[WEIGHTS] if v != RESIDENT)
    positions = [
        _Position(scheduler, position, knobs.get(operation.name, {}), dominance)
        for position, operation in enumerate(scheduler.graph.operations)
    ]
    found = []
    for count, position in enumerate(positions):
        found.append(tuple(_candidates(scheduler, positions, position)))
        if progress is not None:
            progress(count + 1, len(positions))
    return Reduced(
        tuple(found),
        math.prod(len(values) for own in knobs.values() for values in own.values()),
        any(DIMC in own.get(UNIT, ()) for own in knobs.values()),
        segments,
        residents,
    )


def knobs_by_layer(space: SearchSpace) -> dict[str, dict[str, tuple[Value, ...]]]:
    """The values of the knobs of each layer, by the knob's name, the default first."""
    knobs: dict[str, dict[str, tuple[Value, ...]]] = {}
    for knob in space.knobs:
        others = (v for v in knob.values if v != knob.default)
        knobs.setdefault(knob.layer, {})[knob.name] = (knob.default, *others)
    return knobs


class _Position:
    """The nondominated options of one operation: alone, as the first of an epoch, or later."""

    def __init__(
        self,
        scheduler: Scheduler,
        position: int,
        knobs: dict[str, tuple[Value, ...]],
        dominance: Dominance,
    ) -> None:
        self.index = position
        self.dominance = dominance
        self._scheduler = scheduler
        pools = knobs.get(OUTPUT_POOL, (AUTO,)) if dominance.placed else (AUTO,)
        self._pools = tuple(str(value) for value in pools)
        self._may_chain = True in knobs.get(CHAIN, ())
        names = [n for n in knobs if n not in (CHAIN, OUTPUT_POOL)]
        values = [(ACCELERATOR,) if name == UNIT else knobs[name] for name in names]
        options: dict[Choice, Option] = {}
        for combination in product(*values):
            named: dict[str, Any] = dict(zip(names, combination, strict=True))
            option = scheduler.option(position, Choice(**named))
            options.setdefault(option.choice, option)
        group, part = dominance.group, dominance.part
        self.alone = _nondominated_items(options.values(), _demand, group, dominance.epoch)
        whole = [option for option in options.values() if option.choice.parts == 1]
        self.first = _nondominated_items(whole, _demand, group, part)
        behind = [option for option in whole if option.demand.reads <= 1]
        self.behind = _nondominated_items(behind, _demand, group, part)

    def chain(self, option: Option) -> Option | None:
        """The option, chained to the next operation; None if it cannot be."""
        if not self._may_chain:
            return None
        chained = self._scheduler.option(self.index, option.asked._replace(chain=True))
        return chained if chained.choice.chain else None

    def endings(self, option: Option) -> Iterator[Option]:
        """The option with each kind of pool preferred for its output."""
        for pool in self._pools:
            yield self._scheduler.option(self.index, option.asked._replace(output_pool=pool))


def _candidates(
    scheduler: Scheduler, positions: list[_Position], first: _Position
) -> Iterator[Candidate]:
    for option in first.alone:
        for ending in first.endings(option):
            yield Candidate((ending,), ending.alone)
    group, as_epoch, as_part = (
        first.dominance.group,
        first.dominance.epoch,
        first.dominance.part,
    )
    begun = [Candidate((option,), option.alone) for option in first.first]
    for last in positions[first.index + 1 :]:
        before = positions[last.index - 1]
        chained = [
            ((*run.options[:-1], end), run.epoch.total.accelerators)
            for run in begun
            for end in [before.chain(run.options[-1])]
            if end
        ]
        if not chained:
            return
        span = make_span(scheduler.graph, first.index, last.index)
        longer = [
            Candidate(run, _epoch(span, run))
            for head, accelerators in chained
            for option in last.behind
            if accelerators + option.demand.accelerators <= scheduler.hardware.units.accelerators
            for run in [(*head, option)]
            if _joins(scheduler, span, run)
        ]
        begun = _nondominated_items(longer, _total, group, as_part)
        for run in _nondominated_items(begun, _total, group, as_epoch):
            for ending in last.endings(run.options[-1]):
                options = (*run.options[:-1], ending)
                yield Candidate(options, _epoch(span, options))


def _joins(scheduler: Scheduler, span: Span, run: tuple[Option, ...]) -> bool:
    choices = tuple([option.choice for option in run])
    demands = tuple([option.demand for option in run])
    return may_join(span, choices, demands, scheduler.hardware.units)


def _epoch(span: Span, run: tuple[Option, ...]) -> Epoch:
    choices = tuple([option.choice for option in run])
    return make_epoch(span, choices, tuple([option.demand for option in run]))


def _demand(option: Option) -> Demand:
    return option.demand


def _total(candidate: Candidate) -> Demand:
    return candidate.epoch.total


def _as_epoch(demand: Demand) -> tuple[float, ...]:
    """Fields that can only make a step more expensive, whatever the state of the memory."""
    return (
        demand.compute,
        demand.reads,
        demand.scattered_in,
        demand.scattered_out,
        demand.streamed,
        demand.preloaded,
        demand.late,
        demand.fetched,
        demand.partial,
        demand.serial,
        demand.serial_cycles,
        demand.energy,
        demand.parts,
    )


def _as_part(demand: Demand) -> tuple[float, ...]:
    """The fields of :func:`_as_epoch` and the units in use, for epochs that others may join.

    The stream engines in use follow from the accelerators.
    """
    return (*_as_epoch(demand), demand.accelerators, demand.decompressors)


def _sizes(demand: Demand) -> tuple[int, tuple[int, ...]]:
    """What placement depends on."""
    return demand.buffer, demand.workspace


SIMULATED = Dominance(_sizes, _as_epoch, _as_part, placed=True, residents=False)
"""Whatever the rest of the network does, the simulator finds the others no better."""


def _nondominated_items(
    items: Iterable[Any],
    demand: Callable[[Any], Demand],
    group_of: Callable[[Demand], Hashable],
    fields: Callable[[Demand], _Fields],
) -> list[Any]:
    """The items that no other item of the same group dominates."""
    groups: dict[Hashable, list[Any]] = {}
    for item in items:
        own = demand(item)
        groups.setdefault(group_of(own), []).append((item, fields(own)))
    kept = []
    for group in groups.values():
        rows = np.array([row for _, row in group], dtype=np.float64)
        kept += [group[index][0] for index in nondominated(rows)]
    return kept
