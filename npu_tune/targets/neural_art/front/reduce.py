"""The epochs worth trying at each position, out of all that the knobs can make.

An epoch meets the machine as a span, a preferred kind of pool and a
:class:`~npu_tune.targets.neural_art.compiler.demand.Demand`. Where blocks go depends on the span,
the preference, and the demand's ``buffer`` and ``workspace`` alone; given that, the step's cycles,
the cycles of flash while it runs (cycles - slack), its preloading and its energy never fall when
another figure of the demand rises. So of two epochs with equal span, preference, buffer and
workspace, one whose other figures are all at most the other's is as good in every company, and
the other is left out. For the beginning of a run that is to be joined with more operations the
units it takes count as figures too: an epoch's demand is the largest ``compute`` and sums of all
else, and the conditions for joining are upper limits on sums, so that what can follow the one
that takes more can follow the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from npu_tune.pareto import nondominated
from npu_tune.space import SearchSpace, Value
from npu_tune.targets.neural_art.compiler.choice import ACCELERATOR, DIMC, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import Epoch, Span, make_epoch, make_span, may_join
from npu_tune.targets.neural_art.compiler.placement import AUTO
from npu_tune.targets.neural_art.compiler.scheduler import Option, Scheduler

CHAIN = "chain"
OUTPUT_POOL = "output_pool"
UNIT = "unit"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An epoch that may be part of an optimum.

    Args:
        options: one per operation; all but the last are chained.
        epoch: that they make.
    """

    options: tuple[Option, ...]
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Reduced:
    """The epochs worth trying.

    Args:
        candidates: by the position of the first operation.
        configurations: how many configurations the knobs of the layers can make, whatever of
            them is left out.
        on_accelerators_only: True where layers could also be computed in memory, which was
            left out.
    """

    candidates: tuple[tuple[Candidate, ...], ...]
    configurations: int
    on_accelerators_only: bool


def reduce_epochs(
    scheduler: Scheduler, space: SearchSpace, *, progress: Callable[[int, int], None] | None = None
) -> Reduced:
    """Everything the per-layer knobs can make of each position, without what is never better.

    Args:
        scheduler: for the network-wide knobs at hand.
        space: names the values of the per-layer knobs.
        progress: is told how many positions are done, of how many.
    """
    knobs: dict[str, dict[str, tuple[Value, ...]]] = {}
    for knob in space.knobs:
        knobs.setdefault(knob.layer, {})[knob.name] = (
            knob.default,
            *(value for value in knob.values if value != knob.default),
        )
    positions = [
        _Position(scheduler, position, knobs.get(operation.name, {}))
        for position, operation in enumerate(scheduler.graph.operations)
    ]
    found = []
    for count, position in enumerate(positions):
        found.append(tuple(_candidates(scheduler, positions, position)))
        if progress is not None:
            progress(count + 1, len(positions))
    return Reduced(
        tuple(found),
        _product(len(values) for own in knobs.values() for values in own.values()),
        any(DIMC in own.get(UNIT, ()) for own in knobs.values()),
    )


class _Position:
    """The options of one operation, reduced for each part it may play in an epoch."""

    def __init__(
        self, scheduler: Scheduler, position: int, knobs: dict[str, tuple[Value, ...]]
    ) -> None:
        self.index = position
        self._scheduler = scheduler
        self._pools = tuple(str(value) for value in knobs.get(OUTPUT_POOL, (AUTO,)))
        self._may_chain = True in knobs.get(CHAIN, ())
        names = [n for n in knobs if n not in (CHAIN, OUTPUT_POOL)]
        values = [(ACCELERATOR,) if name == UNIT else knobs[name] for name in names]
        options: dict[Choice, Option] = {}
        for combination in product(*values):
            named: dict[str, Any] = dict(zip(names, combination, strict=True))
            option = scheduler.option(position, Choice(**named))
            options.setdefault(option.choice, option)
        self.alone = _least(options.values(), lambda option: option.demand, _as_epoch)
        whole = [option for option in options.values() if option.choice.parts == 1]
        self.first = _least(whole, lambda option: option.demand, _as_part)
        behind = [option for option in whole if option.demand.reads <= 1]
        self.behind = _least(behind, lambda option: option.demand, _as_part)

    def chained(self, option: Option) -> Option | None:
        """The option joined with what follows; None where that cannot be."""
        if not self._may_chain:
            return None
        chained = self._scheduler.option(self.index, option.asked._replace(chain=True))
        return chained if chained.choice.chain else None

    def endings(self, option: Option) -> Iterator[Option]:
        """The option with each preference for its output."""
        for pool in self._pools:
            yield self._scheduler.option(self.index, option.asked._replace(output_pool=pool))


def _candidates(
    scheduler: Scheduler, positions: list[_Position], first: _Position
) -> Iterator[Candidate]:
    for option in first.alone:
        for ending in first.endings(option):
            yield Candidate((ending,), ending.alone)
    begun = [(option,) for option in first.first]
    for last in positions[first.index + 1 :]:
        before = positions[last.index - 1]
        chained = [(*run[:-1], end) for run in begun for end in [before.chained(run[-1])] if end]
        if not chained:
            return
        span = make_span(scheduler.graph, first.index, last.index)
        longer = [
            run
            for head in chained
            for option in last.behind
            for run in [(*head, option)]
            if _joins(scheduler, span, run)
        ]
        begun = _least(longer, partial(_total, span), _as_part)
        for run in _least(begun, partial(_total, span), _as_epoch):
            for ending in last.endings(run[-1]):
                options = (*run[:-1], ending)
                yield Candidate(options, _epoch(span, options))


def _joins(scheduler: Scheduler, span: Span, run: tuple[Option, ...]) -> bool:
    choices = tuple(option.choice for option in run)
    demands = tuple(option.demand for option in run)
    return may_join(span, choices, demands, scheduler.hardware.units)


def _total(span: Span, run: tuple[Option, ...]) -> Demand:
    return _epoch(span, run).total


def _epoch(span: Span, run: tuple[Option, ...]) -> Epoch:
    choices = tuple(option.choice for option in run)
    return make_epoch(span, choices, tuple(option.demand for option in run))


def _as_epoch(demand: Demand) -> tuple[float, ...]:
    """What makes a step dearer, whatever the state of the memory."""
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
    """The same of operations that more are to be joined with, and the units they take.

    Stream engines follow from the accelerators.
    """
    return (*_as_epoch(demand), demand.accelerators, demand.decompressors)


def _least(items: Iterable[Any], demand: Callable[[Any], Demand], figures: Any) -> list[Any]:
    """The items that none with the same behaviour towards memory dominates."""
    groups: dict[tuple[int, int], list[Any]] = {}
    for item in items:
        own = demand(item)
        groups.setdefault((own.buffer, own.workspace), []).append((item, figures(own)))
    kept = []
    for group in groups.values():
        rows = np.array([row for _, row in group], dtype=np.float64)
        kept += [group[index][0] for index in nondominated(rows)]
    return kept


def _product(counts: Iterable[int]) -> int:
    total = 1
    for count in counts:
        total *= count
    return total
