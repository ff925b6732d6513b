"""Lower bounds of what operations cost in the stripes of a depth-first segment.

An operation in a segment is bounded for a number of stripes and for shares of the rows that it
computes and reads, rounded down to a grid, because its demand never falls when these shares rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from npu_tune.pareto import Floats, nondominated
from npu_tune.space import Value
from npu_tune.targets.neural_art.compiler.choice import (
    PRELOAD,
    RESIDENT,
    STREAM,
    Choice,
)
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.grouping import in_stripes
from npu_tune.targets.neural_art.compiler.rows import Cut
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.reduce import UNIT, WEIGHTS
from npu_tune.targets.neural_art.graph import OperationKind

_SHARES = np.array([0.0, 0.5, 0.75, 0.9, *(1.0 + 0.05 * np.arange(11)), *(2.0 ** np.arange(1, 6))])
"""Shares of rows to which others are rounded down."""

_WITHOUT_EFFECT = frozenset(
    {"chain", "output_pool", "depth_first", "stripes", "halo", "weights_pool"}
    | {"parts", "parts_over", UNIT, "dimc_residency", "dimc_copies", WEIGHTS}
)
"""Knobs that do not change what an accelerator does with one operation in stripes, and where its
weights are, which is told apart by itself."""


class Prices(NamedTuple):
    """Prices in cycles under which choices are cheapest, and the shape of all costs.

    Args:
        residents: of a byte of RAM for good, of shape (residents,).
        buffers: of a byte of RAM while a segment runs, of shape (buffers,).
    """

    residents: Floats
    buffers: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """(with preloading counted or not, prices of residents, prices of buffers)."""
        return (2, len(self.residents), len(self.buffers))


class StripedCost(NamedTuple):
    """A lower bound of what joined operations cost in a segment.

    Args:
        cycles: and prices, of shape :attr:`Prices.shape`; weights from flash before the segment
            take no time in the first row, and their whole time in the second one.
        slack: most cycles in which flash is idle at the end of the last stripe.
    """

    cycles: Floats
    slack: float


class _Table(NamedTuple):
    """What the choices of one operation cost in stripes; one element of each array per choice.

    Args:
        accelerators: number of them.
        busy: cycles of units and scattered accesses.
        moved: bytes in RAM, without weights.
        streamed: bytes from flash, all stripes together.
        once: bytes of the weights.
        joins: whether it may share an epoch with an operation before it.
    """

    accelerators: Floats
    busy: Floats
    moved: Floats
    streamed: Floats
    once: Floats
    joins: Floats


class Striped:
    """Bounds operations, alone or joined, in the stripes of segments.

    Args:
        scheduler: for given network-wide knobs.
        rule: turns demands into cycles.
        knobs: values by layer and name.
        prices: of bytes.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        rule: CostRule,
        knobs: Mapping[str, Mapping[str, tuple[Value, ...]]],
        prices: Prices,
    ) -> None:
        pools = scheduler.machine.memory.pools
        self._scheduler = scheduler
        self._graph = scheduler.graph
        self._rule = rule
        self._prices = prices
        self._least_ratio = min(pool.clock_ratio for pool in pools)
        self.cycles_per_byte = 1 / sum(1 / pool.cycles_per_byte for pool in pools)
        self._knobs = [knobs.get(operation.name, {}) for operation in self._graph.operations]
        self._choices: dict[int, tuple[Choice, ...]] = {}
        self._tables: dict[tuple[int, int, float, float], _Table] = {}
        self._costs: dict[tuple[Any, ...], StripedCost] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of all costs."""
        return self._prices.shape

    @cached_property
    def runs(self) -> tuple[tuple[int, ...], ...]:
        """Per operation, the last positions of the epochs that it may share with later ones."""
        found = []
        units, grouping = self._scheduler.hardware.units, self._scheduler.grouping
        for first in range(len(self._graph.operations)):
            ends = [first]
            accelerators, streams = 0, 1
            for last in range(first, len(self._graph.operations)):
                needed = 1 if self._is_convolution(last) else 0
                accelerators += needed
                streams += max(1, 2 * needed)
                span = grouping.span(first, last)
                if last > first:
                    fits = (
                        accelerators <= units.accelerators
                        and streams <= units.stream_engines
                        and span.pools <= units.pools
                        and span.arithmetics <= units.arithmetics
                        and span.functions <= units.activations
                        and span.line_bytes <= units.line_buffer_bytes
                    )
                    if not fits:
                        break
                    ends.append(last)
                if not grouping.joinable[last]:
                    break
            found.append(tuple(ends))
        return tuple(found)

    def cost(self, first: int, shares: Sequence[tuple[float, float]], stripes: int) -> StripedCost:
        """The cost of an operation, or of several in one epoch.

        Args:
            first: position of the first one.
            shares: of each, the rows that it computes / rows of its output, and the rows that it
                reads / rows of its first input.
            stripes: number of them.
        """
        rounded = [_round_down(share) for pair in shares for share in pair]
        key = (first, stripes, *rounded)
        cost = self._costs.get(key)
        if cost is None:
            pairs = list(zip(rounded[::2], rounded[1::2], strict=True))
            tables = [
                self._table(first + offset, stripes, *pair) for offset, pair in enumerate(pairs)
            ]
            if len(tables) == 1:
                cost = self._cost_alone(first, tables[0], stripes)
            else:
                cost = self._cost_joined(first, tables, stripes)
            self._costs[key] = cost
        return cost

    def _cost_alone(self, position: int, table: _Table, stripes: int) -> StripedCost:
        rate, per_byte = self._rule.flash_cycles_per_byte, self.cycles_per_byte
        fixed = self._rule.epoch_cycles * stripes
        near = np.maximum(table.busy, (table.moved + table.streamed) * per_byte)
        modes = self._modes(position)
        found = np.full(self._prices.shape, np.inf)
        plain = np.maximum(table.busy, table.moved * per_byte)
        if STREAM in modes or not table.once.any():
            found = np.minimum(found, np.maximum(plain, table.streamed * rate).min())
        if PRELOAD in modes:
            for row, counted in enumerate((0.0, 1.0)):
                price = self._prices.buffers[:, None] + counted * rate
                found[row] = np.minimum(found[row], (near + price * table.once).min(axis=1))
        if RESIDENT in modes:
            prices = self._prices.residents[:, None]
            least = (near + prices * table.once).min(axis=1)
            found = np.minimum(found, least[None, :, None])
        return StripedCost(found + fixed, float(plain.min()) / stripes)

    def _cost_joined(self, first: int, tables: Sequence[_Table], stripes: int) -> StripedCost:
        busy = self._least_busy(tables)
        if busy == np.inf:
            return StripedCost(np.full(self._prices.shape, np.inf), 0.0)
        fixed = self._rule.epoch_cycles * stripes
        rate = self._rule.flash_cycles_per_byte
        flash, price = [], []
        always = 0.0
        for position, table in enumerate(tables, first):
            streamed = float(table.streamed.min()) * rate
            modes = self._modes(position)
            kept = self._price(float(table.once.min()), modes)
            if kept is None:
                always += streamed
            elif streamed or STREAM not in modes:
                flash.append(streamed if STREAM in modes else np.inf)
                price.append(kept)
        found = np.full(self._prices.shape, np.inf)
        for subset in product((False, True), repeat=len(flash)):
            streaming = always + sum(f for f, taken in zip(flash, subset, strict=True) if taken)
            total = np.full(self._prices.shape, max(busy, streaming))
            for own, taken in zip(price, subset, strict=True):
                if not taken:
                    total = total + own
            found = np.minimum(found, total)
        return StripedCost(found + fixed, busy / stripes)

    def _least_busy(self, tables: Sequence[_Table]) -> float:
        """Least cycles of the slowest unit over all ways of sharing the accelerators."""
        most = self._scheduler.hardware.units.accelerators
        least = np.zeros(most + 1)
        for number, table in enumerate(tables):
            own = np.full(most + 1, np.inf)
            for accelerators, busy, joins in zip(
                table.accelerators, table.busy, table.joins, strict=True
            ):
                if number == 0 or joins:
                    own[int(accelerators)] = min(own[int(accelerators)], busy)
            own = np.minimum.accumulate(own)
            least = np.array(
                [
                    min(max(least[total - taken], own[taken]) for taken in range(total + 1))
                    for total in range(most + 1)
                ]
            )
        return float(least[-1])

    def _price(self, size: float, modes: tuple[Value, ...]) -> Floats | None:
        """The price of weights that are not streamed; None where they always are."""
        found = np.full(self._prices.shape, np.inf)
        if PRELOAD in modes:
            found[0] = self._prices.buffers * size
            found[1] = found[0] + self._rule.flash_cycles_per_byte * size
        if RESIDENT in modes:
            found = np.minimum(found, self._prices.residents[:, None] * size)
        return found if np.isfinite(found).any() else None

    def _modes(self, position: int) -> tuple[Value, ...]:
        if not self._is_convolution(position):
            return ()
        return self._knobs[position].get(WEIGHTS, (STREAM,))

    def _is_convolution(self, position: int) -> bool:
        return self._graph.operations[position].kind is OperationKind.CONVOLUTION

    def _table(self, position: int, stripes: int, computed: float, read: float) -> _Table:
        key = (position, stripes, computed, read)
        table = self._tables.get(key)
        if table is None:
            cut = Cut(stripes, computed, read)
            rows = [
                self._row(position, choice, cut) for choice in self._striped(position, stripes)
            ]
            columns = np.array(rows)
            # More accelerators and not to join are costs here.
            kept = nondominated(columns * np.array([1, 1, 1, 1, 1, -1]))
            table = self._tables[key] = _Table(*columns[kept].T)
        return table

    def _striped(self, position: int, stripes: int) -> tuple[Choice, ...]:
        height = self._graph.maps[self._graph.operations[position].output].height
        rows = -(-height // stripes)
        return tuple(dict.fromkeys(in_stripes(c, rows) for c in self._effective(position)))

    def _effective(self, position: int) -> tuple[Choice, ...]:
        found = self._choices.get(position)
        if found is None:
            knobs = self._knobs[position]
            names = [name for name in knobs if name not in _WITHOUT_EFFECT]
            choices = []
            for values in product(*(knobs[name] for name in names)):
                named: dict[str, Any] = dict(zip(names, values, strict=True))
                option = self._scheduler.option(position, Choice(**named, weights=PRELOAD))
                choices.append(option.choice)
            found = self._choices[position] = tuple(dict.fromkeys(choices))
        return found

    def _row(self, position: int, choice: Choice, cut: Cut) -> tuple[float, ...]:
        demand: Demand = self._scheduler.demand(position, choice, cut)
        span = self._scheduler.grouping.span(position, position)
        moved = max(0.0, span.output_bytes * cut.computed - 1) + demand.partial
        for number, (_, size) in enumerate(span.inputs):
            moved += size * (demand.reads if number == 0 else min(1.0, cut.computed))
        scattered = max(
            demand.scattered_in, demand.scattered_out, span.scattered_out * cut.computed
        )
        return (
            demand.accelerators,
            max(demand.compute * self._rule.compute_factor, scattered * self._least_ratio),
            moved,
            demand.streamed,
            demand.preloaded,
            demand.reads <= cut.read * (1 + 1e-9),
        )


def _round_down(share: float) -> float:
    return float(_SHARES[np.searchsorted(_SHARES, share, side="right") - 1])
