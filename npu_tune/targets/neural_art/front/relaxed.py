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

Memory is kept as far as it needs no addresses: the blocks in use at one time need their bytes
together. What an epoch leaves in use stays until the next one has its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.pareto import nondominated
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
        buffers: per line, bytes of preloaded weights, which arrive while everything that the
            epoch before uses is still there.
        below: bytes that must not be reached.
    """

    preloading: Floats
    cycles: Floats
    buffers: Floats
    below: float

    def __call__(self, slack: Floats, in_use: Floats, spilled: Floats | float = np.inf) -> Floats:
        """Least cycles behind epochs; infinite where there is no way.

        Args:
            slack: that the epochs left.
            in_use: bytes that they left in use.
            spilled: bytes that are needed if not all of these are counted.
        """
        if not len(self.cycles):
            return np.full(slack.shape, np.inf)
        ends = np.maximum(0.0, self.preloading[:, None] - slack) + self.cycles[:, None]
        if self.below < np.inf:
            needs = np.minimum(in_use + self.buffers[:, None], spilled)
            ends[(needs >= self.below) & (self.buffers[:, None] > 0)] = np.inf
        least: Floats = ends.min(axis=0)
        return least


@dataclass(frozen=True, slots=True)
class _Ways:
    """The epochs that may start at a position, one array element each."""

    last: NDArray[np.intp]
    preloading: Floats
    cycles: Floats
    slack: Floats
    live: Floats
    spilled: Floats
    buffers: Floats

    def needs(self, *, on_chip: bool) -> Floats:
        """Bytes that must be in use at one time, on the chip or wherever they lie."""
        return np.minimum(self.live, self.spilled) if on_chip else self.live


@dataclass(frozen=True, slots=True)
class Steps:
    """The least that epochs add, one array element each; as in the machine's steps.

    Args:
        last: position of the last operation.
        preloading: cycles of flash before the epoch.
        cycles: of the epoch.
        slack: of these, cycles in which flash is idle.
        needs: bytes of memory.
        live: bytes left in use.
        spilled: bytes of memory if not all of these are counted.
    """

    last: NDArray[np.intp]
    preloading: Floats
    cycles: Floats
    slack: Floats
    needs: Floats
    live: Floats
    spilled: Floats


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
        self.positions = len(candidates)

    def tails(self, below: float = np.inf, *, on_chip: bool = True) -> tuple[Tail, ...]:
        """The least cycles of the operations from each position on.

        Args:
            below: bytes of memory that the whole run must stay below.
            on_chip: whether these are of RAM on the chip, or bytes in use wherever they lie.
        """
        nothing = np.zeros(1)
        tails = [Tail(nothing, nothing, nothing, below)]
        for ways in reversed(self._ways):
            spilled = ways.spilled if on_chip else np.full(len(ways.last), np.inf)
            total = np.full(len(ways.last), np.inf)
            may = ways.needs(on_chip=on_chip) < below
            for last in set(ways.last[may].tolist()):
                here = may & (ways.last == last)
                behind = tails[len(self._ways) - 1 - last]
                rest = behind(ways.slack[here], ways.live[here], spilled[here])
                total[here] = ways.cycles[here] + rest
            tails.append(_least_lines(ways, total, below))
        return tuple(reversed(tails))

    def least_cycles(self) -> float:
        """No run takes fewer cycles."""
        nothing = np.zeros(1)
        return float(self.tails()[0](nothing, nothing)[0])

    def steps(self, position: int, *, on_chip: bool) -> Steps:
        """What each epoch that may start at a position adds to a label at least.

        Args:
            position: of the first operation.
            on_chip: whether memory is RAM on the chip, or bytes in use wherever they lie.
        """
        ways = self._ways[position]
        return Steps(
            last=ways.last,
            preloading=ways.preloading,
            cycles=ways.cycles,
            slack=ways.slack,
            needs=ways.needs(on_chip=on_chip),
            live=ways.live,
            spilled=ways.spilled if on_chip else np.full(len(ways.last), np.inf),
        )

    def least_memory(self, *, on_chip: bool) -> float:
        """No run has fewer bytes in use at some time: over all ways, the least largest need."""
        least = np.zeros(len(self._ways) + 1)
        for position in reversed(range(len(self._ways))):
            ways = self._ways[position]
            needs = ways.needs(on_chip=on_chip)
            least[position] = np.maximum(needs, least[ways.last + 1]).min()
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
        live, spilled = self._needs.of(epoch)
        return (
            span.last,
            total.preloaded * rule.flash_cycles_per_byte,
            serial + busy + fixed,
            busy - flash,
            live,
            spilled,
            total.buffer,
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
        """Live bytes, and the least RAM on the chip if a map is not on it.

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
            return live, np.inf
        return live, min(self._marks_if_spilled(size) for size in blocks if size)

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


def _least_lines(ways: _Ways, cycles: Floats, below: float) -> Tail:
    """The lines that are the lowest for some slack and some bytes in use."""
    lines = np.column_stack((ways.preloading, cycles, ways.buffers))
    lines = lines[np.isfinite(cycles)]
    if below == np.inf:
        lines[:, 2] = 0.0
    preloading, rest, buffers = lines[nondominated(lines)].T
    return Tail(preloading, rest, buffers, below)
