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

Weights that are in RAM for good are read from memories like any bytes, and take none of flash.
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
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.reduce import Candidate, Dominance
from npu_tune.targets.neural_art.plan.pieces import carried_bytes


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

    def __call__(self, slack: Floats, in_use: Floats) -> Floats:
        """Lower bounds of the cycles after epochs; infinite where memory does not suffice.

        Args:
            slack: of the epochs, of shape (epochs,).
            in_use: bytes that they leave in use, of shape (epochs,).
        """
        if not len(self.cycles):
            return np.full(slack.shape, np.inf)
        ends = np.maximum(0.0, self.preloading[:, None] - slack) + self.cycles[:, None]
        if self.below < np.inf:
            needs = in_use + self.buffers[:, None]
            ends[(needs >= self.below) & (self.buffers[:, None] > 0)] = np.inf
        least: Floats = ends.min(axis=0)
        return least


@dataclass(frozen=True, slots=True)
class RelaxedEpochs:
    """Lower bounds of the epochs that may start at a position; one element of each array per epoch.

    Args:
        last: position of the last operation.
        preloading: cycles of flash before the epoch.
        cycles: of the epoch.
        slack: of these, cycles in which flash is idle.
        needs: bytes in use at one time, without resident weights.
        buffers: of these, bytes of preloaded weights.
        residents: bytes of resident weights.
    """

    last: NDArray[np.intp]
    preloading: Floats
    cycles: Floats
    slack: Floats
    needs: Floats
    buffers: Floats
    residents: Floats


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
        self.epochs = tuple(self._bound_epochs(own) for own in candidates)
        self.positions = len(candidates)

    def tails(self, below: float = np.inf) -> tuple[Tail, ...]:
        """Computes the tail of every position, and an empty one behind the last.

        Args:
            below: bytes of memory that the whole network must stay below.
        """
        nothing = np.zeros(1)
        tails = [Tail(nothing, nothing, nothing, below)]
        for epochs in reversed(self.epochs):
            total = np.full(len(epochs.last), np.inf)
            may = epochs.needs < below
            for last in set(epochs.last[may].tolist()):
                here = may & (epochs.last == last)
                behind = tails[len(self.epochs) - 1 - last]
                rest = behind(epochs.slack[here], epochs.needs[here])
                total[here] = epochs.cycles[here] + rest
            tails.append(_least_lines(epochs, total, below))
        return tuple(reversed(tails))

    def least_cycles(self) -> float:
        """A lower bound of the cycles of the network."""
        nothing = np.zeros(1)
        return float(self.tails()[0](nothing, nothing)[0])

    def least_memory(self) -> float:
        """A lower bound of the peak of bytes in use: the smallest peak over all paths."""
        least = np.zeros(len(self.epochs) + 1)
        for position in reversed(range(len(self.epochs))):
            epochs = self.epochs[position]
            least[position] = np.maximum(epochs.needs, least[epochs.last + 1]).min()
        return float(least[0])

    def _bound_epochs(self, candidates: tuple[Candidate, ...]) -> RelaxedEpochs:
        table = np.array([self._bound_epoch(candidate.epoch) for candidate in candidates])
        return RelaxedEpochs(table[:, 0].astype(np.intp), *table[:, 1:].T)

    def _bound_epoch(self, epoch: Epoch) -> tuple[float, ...]:
        rule, total, span = self._rule, epoch.total, epoch.span
        flash = (total.late if total.buffer else total.streamed) * rule.flash_cycles_per_byte
        busy = max(total.compute * rule.compute_factor, self._ram_cycles(epoch), flash)
        serial = max(total.serial * rule.flash_cycles_per_byte, total.serial_cycles)
        fixed = rule.software_epoch_cycles if span.software else rule.epoch_cycles * total.parts
        return (
            span.last,
            total.preloaded * rule.flash_cycles_per_byte,
            serial + busy + fixed,
            busy - flash,
            self._needs.of(epoch),
            total.buffer,
            total.resident,
        )

    def _ram_cycles(self, epoch: Epoch) -> float:
        total: Demand = epoch.total
        span = epoch.span
        written = span.output_bytes + sum(size for _, size in span.further)
        moved: float = written + total.partial + total.fetched + total.taken
        for position, (_, size) in enumerate(span.inputs):
            moved += size * (total.reads if position == 0 else 1)
        scattered = max(total.scattered_in, total.scattered_out or span.scattered_out)
        return max(scattered * self._least_ratio, moved * self._cycles_per_byte)


class _Needs:
    """Bytes that an epoch needs at one time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._carried = carried_bytes(scheduler.graph)

    def of(self, epoch: Epoch) -> float:
        """Bytes in use while it runs.

        These are all maps that it or a later epoch reads, and its output, partial sums and
        preloaded weights. The high-water marks of the pools add up to at least their sum, because
        blocks never overlap.
        """
        total, span = epoch.total, epoch.span
        further = sum(size for _, size in span.further)
        written = span.output_bytes + further + sum(total.workspace)
        return float(self._carried[span.first] + written + total.buffer)


def _in_epoch(demand: Demand) -> tuple[float, ...]:
    """What the relaxation reads of a demand."""
    return (
        demand.compute,
        demand.reads,
        max(demand.scattered_in, demand.scattered_out),
        demand.late if demand.buffer else demand.streamed,
        demand.preloaded,
        demand.fetched + demand.partial + demand.taken,
        demand.buffer,
        sum(demand.workspace),
        demand.resident,
        demand.serial,
        demand.serial_cycles,
        demand.parts,
    )


def _in_part(demand: Demand) -> tuple[float, ...]:
    """The same for epochs that others may join, with the units in use."""
    scattered = (demand.scattered_in, demand.scattered_out)
    return (*_in_epoch(demand), *scattered, demand.accelerators, demand.decompressors)


RELAXED = Dominance(lambda _: None, _in_epoch, _in_part, placed=False, residents=True)
"""The relaxation finds the others no better, whatever the price of resident weights."""


def _least_lines(epochs: RelaxedEpochs, cycles: Floats, below: float) -> Tail:
    """Keeps the lines that are lowest for some slack and some bytes in use."""
    lines = np.column_stack((epochs.preloading, cycles, epochs.buffers))
    lines = lines[np.isfinite(cycles)]
    if below == np.inf:
        lines[:, 2] = 0.0
    preloading, rest, buffers = lines[nondominated(lines)].T
    return Tail(preloading, rest, buffers, below)
