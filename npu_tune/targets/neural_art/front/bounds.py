"""Lower bounds over all per-layer choices, for networks of any size."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.neural_art.compiler.rule import CostRule, cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.front.exact import CYCLES, LATENCY, LIVE, ON_ACCELERATORS, RAM
from npu_tune.targets.neural_art.front.paths import Paths
from npu_tune.targets.neural_art.front.reduce import Reduced, knobs_by_layer, reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import RELAXED, Relaxed
from npu_tune.targets.neural_art.front.segments import SegmentBounds
from npu_tune.targets.neural_art.front.stripes import Prices, Striped
from npu_tune.targets.oracle import Bound

_HOLDS_FOR = "It holds for every placement of maps, with the epochs in the order of the base."

_RELATIVE_PRICES = (0.0, *(2.0**exponent for exponent in range(-6, 7)))
"""Prices of a byte of RAM under which the least cost is found, relative to cycles / bytes of the
default; 1 is that of a cost which weighs both alike."""
_BUFFER_PRICES = (0.0, 1.0, 4.0, 16.0, 64.0)
"""Prices of a byte of preloaded weights, relative to the cycles in which flash brings it."""

_ROUNDING = 1e-9


def lower_bound(core: NetworkCompiler, *, rule: str, base: Configuration | None = None) -> Bound:
    """Lower bounds over all configurations with the network-wide knobs of a base.

    Each metric has one by itself, and every weighted sum of time and memory has one: of each of
    some prices of a byte, :class:`~.paths.Paths` gives the least cycles + price * bytes, and the
    corners of what these leave are relaxed optima.

    Args:
        core: the network on the target.
        rule: name of the cost rule.
        base: gives the network-wide knobs; the default configuration if None.
    """
    base = base or core.space.default
    scheduler = core.scheduler(base)
    hardware = core.hardware(base)
    usual = evaluation_of(core.run(core.space.default), hardware).metrics
    reduced = reduce_epochs(scheduler, core.space, dominance=RELAXED)
    corners = relaxed_optima(
        scheduler, cost_rule(rule, scheduler.hardware), core.space, reduced,
        price=usual[CYCLES] / usual[RAM],
    )  # fmt: skip
    per_ms = hardware.clock_mhz * 1e3

    def metrics(cycles: float, size: float) -> dict[str, float]:
        return {LATENCY: cycles / per_ms, CYCLES: cycles, RAM: size, LIVE: size}

    return Bound(
        metrics(corners[0][0], corners[-1][1]),
        (ON_ACCELERATORS, _HOLDS_FOR) if reduced.on_accelerators_only else (_HOLDS_FOR,),
        tuple(metrics(*corner) for corner in corners),
    )


def relaxed_optima(
    scheduler: Scheduler, rule: CostRule, space: SearchSpace, reduced: Reduced, *, price: float
) -> list[tuple[float, float]]:
    """(Cycles, bytes) of relaxed optima, the fastest first.

    Args:
        scheduler: for given network-wide knobs.
        rule: turns demands into cycles.
        space: gives the values of the per-layer knobs.
        reduced: epochs by :data:`~.relaxed.RELAXED`.
        price: cycles for which a byte is worth having, of the cost that matters most.
    """
    prices = Prices(
        np.array(_RELATIVE_PRICES) * price, np.array(_BUFFER_PRICES) * rule.flash_cycles_per_byte
    )
    relaxed = Relaxed(scheduler, rule, reduced.candidates)
    segments = _segments(scheduler, rule, space, prices) if reduced.segments else ()
    paths = Paths(relaxed.epochs, segments, prices)
    lines = [(float(p), paths.least_cost(number)) for number, p in enumerate(prices.residents)]
    return _corners(lines, paths.least_memory())


def _segments(
    scheduler: Scheduler, rule: CostRule, space: SearchSpace, prices: Prices
) -> SegmentBounds:
    knobs = knobs_by_layer(space)
    most = max(int(value) for own in knobs.values() for value in own.get("stripes", ()))
    numbers = [2**exponent for exponent in range(1, most.bit_length())]
    return SegmentBounds(scheduler, rule, Striped(scheduler, rule, knobs, prices), numbers)


def _corners(lines: list[tuple[float, float]], memory: float) -> list[tuple[float, float]]:
    """Corners of the region above lines, with the fewest cycles first.

    Args:
        lines: (price, least cycles + price * bytes) each.
        memory: least bytes.
    """

    def cycles(size: float) -> float:
        return max(least - price * size for price, least in lines)

    sizes = {memory}
    for (price, least), (other, less) in combinations(lines, 2):
        size = (least - less) / (price - other)
        if size > memory and least - price * size >= cycles(size) * (1 - _ROUNDING):
            sizes.add(size)
    return [(cycles(size), size) for size in sorted(sizes, reverse=True)]
