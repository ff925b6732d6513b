"""Lower bounds of what operations cost in the stripes of a depth-first segment.

Shares of rows are rounded down to a grid, because no field of a demand falls when the rows that an
operation computes or reads rise. An epoch of a segment takes a fixed cost for each stripe and, as
every epoch, at least the cycles of its units, of flash, and of all bytes moved / bytes per cycle of
all memories together.

An operation by itself has its least cost over its choices, with weights that are streamed for every
stripe, that are preloaded once for the whole segment, or that are in RAM for good; the bytes of the
latter two are priced. For joined operations the bound takes the least cycles of the slowest unit
over all ways of sharing the accelerators, and for every choice of those that stream, the bytes that
flash then brings: each operation counts with its fastest choice for the one and with its smallest
weights for the other, which is at most what any choices cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from npu_tune.pareto import Floats
from npu_tune.space import Value
from npu_tune.targets.neural_art.compiler.choice import (
    PRELOAD,
    RESIDENT,
    STREAM,
)
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.choices import ChoiceTable, ChoiceTables, round_down
from npu_tune.targets.neural_art.front.reduce import WEIGHTS
from npu_tune.targets.neural_art.graph import OperationKind


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
        slack: cycles that count as idle ones of flash at the end of the last stripe, by price of
            residents.
    """

    cycles: Floats
    slack: Floats


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
        self.cycles_per_byte = 1 / sum(1 / pool.cycles_per_byte for pool in pools)
        self._knobs = [knobs.get(operation.name, {}) for operation in self._graph.operations]
        self._tables = ChoiceTables(scheduler, rule, self._knobs)
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
        rounded = [round_down(share) for pair in shares for share in pair]
        key = (first, stripes, *rounded)
        cost = self._costs.get(key)
        if cost is None:
            pairs = list(zip(rounded[::2], rounded[1::2], strict=True))
            tables = [
                self._tables(first + offset, stripes, *pair) for offset, pair in enumerate(pairs)
            ]
            if len(tables) == 1:
                cost = self._cost_alone(first, tables[0], stripes)
            else:
                cost = self._cost_joined(first, tables, stripes)
            self._costs[key] = cost
        return cost

    def _cost_alone(self, position: int, table: ChoiceTable, stripes: int) -> StripedCost:
        rate, per_byte = self._rule.flash_cycles_per_byte, self.cycles_per_byte
        fixed = self._rule.epoch_cycles * stripes
        near = np.maximum(table.busy, (table.moved + table.streamed) * per_byte)
        modes = self._modes(position)
        plain = np.maximum(table.busy, table.moved * per_byte)
        found = np.full((2, *self._prices.shape), np.inf)
        # First until the last stripe ends, then until flash is idle in it.
        if STREAM in modes or not table.once.any():
            flash = table.streamed * rate
            busy = np.maximum(plain, flash)
            found[0] = busy.min()
            found[1] = (busy - (busy - flash) / stripes).min()
        for row, busy in enumerate((near, near * (1 - 1 / stripes))):
            if PRELOAD in modes:
                for counted in (0, 1):
                    price = self._prices.buffers[:, None] + counted * rate
                    least = (busy + price * table.once).min(axis=1)
                    found[row, counted] = np.minimum(found[row, counted], least)
            if RESIDENT in modes:
                least = (busy + self._prices.residents[:, None] * table.once).min(axis=1)
                found[row] = np.minimum(found[row], least[None, :, None])
        return _striped_cost(found, fixed)

    def _cost_joined(self, first: int, tables: Sequence[ChoiceTable], stripes: int) -> StripedCost:
        busy = self._least_busy(tables)
        if busy == np.inf:
            return StripedCost(
                np.full(self._prices.shape, np.inf), np.zeros(self._prices.shape[1])
            )
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
        found = np.full((2, *self._prices.shape), np.inf)
        for subset in product((False, True), repeat=len(flash)):
            streaming = always + sum(f for f, taken in zip(flash, subset, strict=True) if taken)
            if streaming == np.inf:
                continue
            prices = np.zeros(self._prices.shape)
            for own, taken in zip(price, subset, strict=True):
                if not taken:
                    prices = prices + own
            longest = max(busy, streaming)
            idle = (longest - streaming) / stripes
            found = np.minimum(found, np.stack((prices + longest, prices + longest - idle)))
        return _striped_cost(found, fixed)

    def _least_busy(self, tables: Sequence[ChoiceTable]) -> float:
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


def _striped_cost(found: Floats, fixed: float) -> StripedCost:
    """From the least costs until the last stripe ends, and until flash is idle in it."""
    late, early = found
    return StripedCost(late + fixed, (late - early).max(axis=(0, 2)))
