"""The least that the rest of a network can cost: epochs without addresses.

Where blocks lie is left out, so that every memory serves an epoch as well as it possibly could;
joining, the choices of each layer and the overlap of preloading with the epoch before are kept.
What an epoch then costs depends on the slack of the epoch before alone, and dynamic programming
from the back gives the least cycles of every tail of the network.

Why that is a lower bound. An epoch of a real run takes ``serial + max(compute, ram, flash) +
fixed`` cycles after it waited ``max(0, preloading - slack of the epoch before)``, and leaves the
slack ``max(compute, ram, flash) - flash``. Let the run be at ``t`` with ``e = t - slack``; after
the wait it is at ``b = max(t, e + preloading)``, after the epoch at ``t' = b + serial + fixed +
max(compute, ram, flash)`` with ``e' = b + serial + fixed + flash``. Both never fall when ``t``, ``e``
or ``ram`` rises, and the end of the network is the last ``t``. So replacing every ``ram`` by
something smaller gives something smaller. ``ram`` is at least

- the elements that one engine moves one by one, times the least cycles of any memory's access,
- all bytes moved, divided by what all memories move per cycle together: none of them is done
  before the busiest one, and that one is at least as busy as their mean.

Preloaded weights that find no room are streamed, as they would have been had nobody asked for
preloading: such an epoch is the same as one that is tried anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.reduce import Candidate
from npu_tune.targets.neural_art.graph import Graph
from npu_tune.targets.neural_art.hardware import Hardware

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tail:
    """What the operations from a position on cost at least, as the least of some lines.

    Args:
        preloading: per line, cycles of flash that the slack before can hide.
        cycles: per line, of everything else.
    """

    preloading: Floats
    cycles: Floats

    def __call__(self, slack: Floats) -> Floats:
        """Least cycles behind epochs that left so much slack; infinite where there is no way."""
        least = np.full(slack.shape, np.inf)
        for preloading, cycles in zip(self.preloading, self.cycles, strict=True):
            least = np.minimum(least, cycles + np.maximum(0.0, preloading - slack))
        return least


@dataclass(frozen=True, slots=True)
class _Ways:
    """The epochs that may start at a position, one array element each."""

    last: NDArray[np.intp]
    preloading: Floats
    cycles: Floats
    slack: Floats
    live: Floats
    ram: Floats


class Relaxed:
    """Lower bounds for the tails of a network.

    Args:
        scheduler: for the network-wide knobs at hand.
        rule: turns demands into cycles.
        candidates: epochs by first position.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        rule: CostRule,
        candidates: tuple[tuple[Candidate, ...], ...],
    ) -> None:
        pools = scheduler.machine.memory.pools
        self._rule = rule
        self._least_ratio = min(pool.clock_ratio for pool in pools)
        self._cycles_per_byte = 1 / sum(1 / pool.cycles_per_byte for pool in pools)
        self._needs = _Needs(scheduler)
        self._ways = [self._ways_from(own) for own in candidates]

    def tails(self, *, ram_below: float = np.inf, live_below: float = np.inf) -> tuple[Tail, ...]:
        """The least cycles of the operations from each position on.

        Args:
            ram_below: bytes of RAM on the chip that the whole run must stay below.
            live_below: bytes in use that it must stay below.
        """
        nothing = np.zeros(1)
        tails = [Tail(nothing, nothing)]
        for ways in reversed(self._ways):
            total = np.full(len(ways.last), np.inf)
            may = (ways.ram < ram_below) & (ways.live < live_below)
            for last in set(ways.last[may].tolist()):
                here = may & (ways.last == last)
                behind = tails[len(self._ways) - 1 - last]
                total[here] = ways.cycles[here] + behind(ways.slack[here])
            tails.append(_least_lines(ways.preloading, total))
        return tuple(reversed(tails))

    def steps(self, position: int) -> tuple[NDArray[np.intp], Floats]:
        """What each epoch that may start at a position adds to a label at least.

        Returns:
            The positions of their last operations, and the columns cycles, cycles - slack,
            preloading, live bytes and RAM on the chip.
        """
        ways = self._ways[position]
        early = ways.cycles - ways.slack
        figures = (ways.cycles, early, ways.preloading, ways.live, ways.ram)
        return ways.last, np.column_stack(figures)

    @property
    def least_live_bytes(self) -> float:
        """No run has fewer bytes in use at some time."""
        return self._least_need([ways.live for ways in self._ways])

    @property
    def least_ram_bytes(self) -> float:
        """No run needs less RAM on the chip."""
        return self._least_need([ways.ram for ways in self._ways])

    def _least_need(self, needs: list[Floats]) -> float:
        """Over all ways through the network, the least of the largest need on the way."""
        least = np.zeros(len(self._ways) + 1)
        for position in reversed(range(len(self._ways))):
            ways = self._ways[position]
            least[position] = np.maximum(needs[position], least[ways.last + 1]).min()
        return float(least[0])

    def _ways_from(self, candidates: tuple[Candidate, ...]) -> _Ways:
        table = np.array([self._way(candidate.epoch) for candidate in candidates])
        return _Ways(table[:, 0].astype(np.intp), *table[:, 1:].T)

    def _way(self, epoch: Epoch) -> tuple[float, ...]:
        rule, total, span = self._rule, epoch.total, epoch.span
        flash = (total.late if total.buffer else total.streamed) * rule.flash_cycles_per_byte
        busy = max(total.compute * rule.compute_factor, self._ram_cycles(epoch), flash)
        serial = max(total.serial * rule.flash_cycles_per_byte, total.serial_cycles)
        fixed = rule.software_epoch_cycles if span.software else rule.epoch_cycles * total.parts
        live, ram = self._needs.of(epoch)
        return (
            span.last,
            total.preloaded * rule.flash_cycles_per_byte,
            serial + busy + fixed,
            busy - flash,
            live,
            ram,
        )

    def _ram_cycles(self, epoch: Epoch) -> float:
        total: Demand = epoch.total
        span = epoch.span
        moved: float = span.output_bytes + total.partial + total.fetched
        for position, (_, size) in enumerate(span.inputs):
            moved += size * (total.reads if position == 0 else 1)
        scattered = max(total.scattered_in, total.scattered_out or span.scattered_out)
        return max(scattered * self._least_ratio, moved * self._cycles_per_byte)


class _Needs:
    """Bytes that an epoch needs at one time, wherever they lie, and on the chip."""

    def __init__(self, scheduler: Scheduler) -> None:
        graph: Graph = scheduler.graph
        self._sizes = {name: graph.maps[name].size_bytes for name in graph.maps}
        self._hardware: Hardware = scheduler.hardware
        self._may_spill = any(
            pool not in scheduler.hardware.internal for pool in scheduler.machine.memory.pools
        )
        self._carried = [_carried(graph, first) for first in range(len(graph.operations))]

    def of(self, epoch: Epoch) -> tuple[float, float]:
        """Live bytes, and what follows for the RAM on the chip.

        While the epoch runs, all maps that it or a later epoch reads are in use, its output, its
        partial sums and its preloaded weights. If all of that is on the chip, the marks of the
        pools are at least their sum, because blocks never overlap. If a map is not, that is
        because no pool had a gap for it when it was placed: every pool that is large enough for
        it was then in use up to less than its size and an alignment below the pool's end.
        """
        total, span = epoch.total, epoch.span
        maps = [self._sizes[name] for name in self._carried[span.first]]
        blocks = [*maps, span.output_bytes, total.workspace]
        live = float(sum(blocks) + total.buffer)
        if not self._may_spill:
            return live, live
        return live, min(live, *(self._marks_if_spilled(size) for size in blocks if size))

    def _marks_if_spilled(self, size: int) -> float:
        return float(
            sum(
                max(0, pool.size_bytes - size - ALIGNMENT + 1)
                for pool in self._hardware.internal
                if pool.size_bytes >= size
            )
        )


def _carried(graph: Graph, first: int) -> list[str]:
    """Maps written before an operation that it or a later one reads, or that are outputs."""
    written = {*graph.inputs, *(operation.output for operation in graph.operations[:first])}
    return [
        name
        for name in written
        if name in graph.outputs or any(reader >= first for reader in graph.readers[name])
    ]


def _least_lines(preloading: Floats, cycles: Floats) -> Tail:
    """The lines that are the lowest for some slack."""
    order = np.lexsort((cycles, preloading))
    order = order[np.isfinite(cycles[order])]
    kept: list[int] = []
    for index in order.tolist():
        # More to preload is worth it only where the rest is less, and by less than the rest.
        if not kept or cycles[index] < cycles[kept[-1]]:
            kept.append(index)
    return Tail(preloading[kept], cycles[kept])
