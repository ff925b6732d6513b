"""Lower bounds of the costs of the rest of a network, by a relaxation that ignores addresses.

Without addresses, every memory serves an epoch as fast as any placement could; joining, per-layer
choices and the overlap of preloading with the epoch before are kept. The cost of an epoch then
depends only on the slack of the epoch before, and dynamic programming from the last operation
backwards gives the least cycles of every tail of the network.

Proof of the bound. An epoch of a real run takes ``serial + max(compute, ram, flash) +
fixed`` cycles after it waited ``max(0, preloading - slack of the epoch before)``, and leaves the
slack ``max(compute, ram, flash) - flash``. Let the run be at ``t`` with ``e = t - slack``; after
the wait it is at ``b = max(t, e + preloading)``, after the epoch at ``t' = b + serial + fixed +
max(compute, ram, flash)`` with ``e' = b + serial + fixed + flash``. Both never fall when ``t``, ``e``
or ``ram`` rises, and the end of the network is the last ``t``. So replacing every ``ram`` by
something smaller gives something smaller. ``ram`` is at least

- the elements that one stream engine moves one by one, times the least cycles per access of any
  memory,
- all bytes moved / bytes per cycle of all memories together, because the busiest memory is at least
  as busy as their mean.

Preloaded weights without room are streamed, so that such an epoch equals one without preloading,
which is a candidate as well.

Of memory the relaxation keeps that blocks in use at one time need the sum of their bytes, and that
the blocks of an epoch stay in use until the next one has its preloaded weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.pareto import Floats, nondominated
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.reduce import Candidate
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware


@dataclass(frozen=True, slots=True)
class Tail:
    """A lower bound of the cycles from a position on, as the minimum of some lines.

    Args:
        preloading: per line, cycles of flash that the slack of the epoch before can hide.
        cycles: per line, all other cycles.
        buffers: per line, bytes of preloaded weights, which are in use together with all blocks
            of the epoch before.
        below: bytes of memory that the network must stay below.
    """

    preloading: Floats
    cycles: Floats
    buffers: Floats
    below: float

    def __call__(self, slack: Floats, in_use: Floats, spilled: Floats | float = np.inf) -> Floats:
        """Lower bounds of the cycles after epochs; infinite where memory does not suffice.

        Args:
            slack: of the epochs, of shape (epochs,).
            in_use: bytes that they leave in use, of shape (epochs,).
            spilled: bytes on the chip if a map is in external RAM, of shape (epochs,).
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
class _Epochs:
    """The epochs that may start at a position, one element of each array per epoch.

    The fields are those of :class:`Steps`; ``buffers`` are bytes of preloaded weights.
    """

    last: NDArray[np.intp]
    preloading: Floats
    cycles: Floats
    slack: Floats
    live: Floats
    spilled: Floats
    buffers: Floats

    def needs(self, *, on_chip: bool) -> Floats:
        """Bytes that must be in use at one time, on the chip or in all memories."""
        return np.minimum(self.live, self.spilled) if on_chip else self.live


@dataclass(frozen=True, slots=True)
class Steps:
    """Lower bounds of what epochs add to a label, one element of each array per epoch.

    Args:
        last: position of the last operation.
        preloading: cycles of flash before the epoch.
        cycles: of the epoch.
        slack: of these, cycles in which flash is idle.
        needs: bytes of memory.
        live: bytes left in use.
        spilled: bytes on the chip if a map is in external RAM.
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
        scheduler: for given network-wide knobs.
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
        self._epochs = [self._bound_epochs(own) for own in candidates]
        self.positions = len(candidates)

    def tails(self, below: float = np.inf, *, on_chip: bool = True) -> tuple[Tail, ...]:
        """Computes the tail of every position, and an empty one behind the last.

        Args:
            below: bytes of memory that the whole network must stay below.
            on_chip: whether these are bytes of RAM on the chip, or bytes in use in all memories.
        """
        nothing = np.zeros(1)
        tails = [Tail(nothing, nothing, nothing, below)]
        for epochs in reversed(self._epochs):
            spilled = epochs.spilled if on_chip else np.full(len(epochs.last), np.inf)
            total = np.full(len(epochs.last), np.inf)
            may = epochs.needs(on_chip=on_chip) < below
            for last in set(epochs.last[may].tolist()):
                here = may & (epochs.last == last)
                behind = tails[len(self._epochs) - 1 - last]
                rest = behind(epochs.slack[here], epochs.live[here], spilled[here])
                total[here] = epochs.cycles[here] + rest
            tails.append(_least_lines(epochs, total, below))
        return tuple(reversed(tails))

    def least_cycles(self) -> float:
        """A lower bound of the cycles of the network."""
        nothing = np.zeros(1)
        return float(self.tails()[0](nothing, nothing)[0])

    def steps(self, position: int, *, on_chip: bool) -> Steps:
        """Lower bounds of what each epoch from a position on adds to a label.

        Args:
            position: of the first operation.
            on_chip: whether memory is RAM on the chip, or bytes in use in all memories.
        """
        epochs = self._epochs[position]
        return Steps(
            last=epochs.last,
            preloading=epochs.preloading,
            cycles=epochs.cycles,
            slack=epochs.slack,
            needs=epochs.needs(on_chip=on_chip),
            live=epochs.live,
            spilled=epochs.spilled if on_chip else np.full(len(epochs.last), np.inf),
        )

    def least_memory(self, *, on_chip: bool) -> float:
        """A lower bound of the peak of bytes in use: the smallest peak over all paths."""
        least = np.zeros(len(self._epochs) + 1)
        for position in reversed(range(len(self._epochs))):
            epochs = self._epochs[position]
            needs = epochs.needs(on_chip=on_chip)
            least[position] = np.maximum(needs, least[epochs.last + 1]).min()
        return float(least[0])

    def _bound_epochs(self, candidates: tuple[Candidate, ...]) -> _Epochs:
        table = np.array([self._bound_epoch(candidate.epoch) for candidate in candidates])
        return _Epochs(table[:, 0].astype(np.intp), *table[:, 1:].T)

    def _bound_epoch(self, epoch: Epoch) -> tuple[float, ...]:
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
        written = span.output_bytes + sum(size for _, size in span.further)
        moved: float = written + total.partial + total.fetched
        for position, (_, size) in enumerate(span.inputs):
            moved += size * (total.reads if position == 0 else 1)
        scattered = max(total.scattered_in, total.scattered_out or span.scattered_out)
        return max(scattered * self._least_ratio, moved * self._cycles_per_byte)


class _Needs:
    """Bytes that an epoch needs at one time, in all memories and on the chip."""

    def __init__(self, scheduler: Scheduler) -> None:
        graph: OperationGraph = scheduler.graph
        self._sizes = {name: graph.maps[name].size_bytes for name in graph.maps}
        self._hardware: Hardware = scheduler.hardware
        self._may_spill = any(
            pool not in scheduler.hardware.internal for pool in scheduler.machine.memory.pools
        )
        self._carried = [_maps_in_use(graph, first) for first in range(len(graph.operations))]

    def of(self, epoch: Epoch) -> tuple[float, float]:
        """Live bytes, and the least RAM on the chip if a map is in external RAM.

        While an epoch runs, all maps that it or a later epoch reads are in use, and its output,
        partial sums and preloaded weights. If all of these are on the chip, the high-water marks
        of the pools add up to at least their sum, because blocks never overlap. A map is in
        external RAM only if no pool had room for it when it was placed: then every pool that is
        large enough for it was in use to within the map's size and an alignment of the pool's end.
        """
        total, span = epoch.total, epoch.span
        maps = [self._sizes[name] for name in self._carried[span.first]]
        further = [size for _, size in span.further]
        blocks = [*maps, span.output_bytes, *further, *total.workspace]
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


def _maps_in_use(graph: OperationGraph, first: int) -> list[str]:
    """Maps written before an operation that are outputs, or that it or a later one reads."""
    written = set(graph.inputs).union(*(done.outputs for done in graph.operations[:first]))
    return [
        name
        for name in written
        if name in graph.outputs or any(reader >= first for reader in graph.readers[name])
    ]


def _least_lines(epochs: _Epochs, cycles: Floats, below: float) -> Tail:
    """Keeps the lines that are lowest for some slack and some bytes in use."""
    lines = np.column_stack((epochs.preloading, cycles, epochs.buffers))
    lines = lines[np.isfinite(cycles)]
    if below == np.inf:
        lines[:, 2] = 0.0
    preloading, rest, buffers = lines[nondominated(lines)].T
    return Tail(preloading, rest, buffers, below)
