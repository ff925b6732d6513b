"""What the choices of single operations cost in stripes, before anything is priced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from npu_tune.pareto import Floats, nondominated
from npu_tune.space import Value
from npu_tune.targets.neural_art.compiler.choice import PRELOAD, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.grouping import in_stripes
from npu_tune.targets.neural_art.compiler.rows import Cut
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.reduce import UNIT, WEIGHTS

_SHARES = np.array([0.0, 0.5, 0.75, 0.9, *(1.0 + 0.05 * np.arange(11)), *(2.0 ** np.arange(1, 6))])
"""Shares of rows to which others are rounded down."""

_WITHOUT_EFFECT = frozenset(
    {"chain", "output_pool", "depth_first", "stripes", "halo", "weights_pool"}
    | {"parts", "parts_over", UNIT, "dimc_residency", "dimc_copies", WEIGHTS}
)
"""Knobs that do not change what an accelerator does with one operation in stripes, and where its
weights are, which is told apart by itself."""


class ChoiceTable(NamedTuple):
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


class ChoiceTables:
    """The nondominated choices of operations in stripes; remembers them.

    Args:
        scheduler: for given network-wide knobs.
        rule: turns demands into cycles.
        knobs: of each operation, values by name.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        rule: CostRule,
        knobs: Sequence[Mapping[str, tuple[Value, ...]]],
    ) -> None:
        self._scheduler = scheduler
        self._graph = scheduler.graph
        self._rule = rule
        self._knobs = knobs
        pools = scheduler.machine.memory.pools
        self._least_ratio = min(pool.clock_ratio for pool in pools)
        self._choices: dict[int, tuple[Choice, ...]] = {}
        self._tables: dict[tuple[int, int, float, float], ChoiceTable] = {}

    def __call__(self, position: int, stripes: int, computed: float, read: float) -> ChoiceTable:
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
            table = self._tables[key] = ChoiceTable(*columns[kept].T)
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


def round_down(share: float) -> float:
    """The largest share of the grid that is not above this one."""
    return float(_SHARES[np.searchsorted(_SHARES, share, side="right") - 1])
