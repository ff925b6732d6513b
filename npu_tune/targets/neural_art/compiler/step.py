"""One epoch in one state of the memory: where its blocks are and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.placement import Block
from npu_tune.targets.neural_art.compiler.traffic import Traffic


class Placement(NamedTuple):
    """Where the blocks of an epoch are placed.

    Args:
        placed: blocks that the epoch allocates, the output first.
        marks: per pool, bytes from its base to the end of the highest of these blocks.
        live_bytes: most bytes in use while the epoch runs, or while its weights are preloaded.
        preloads: whether its preloaded weights found room.
        traffics: what moving a byte of each stream costs, one for each member of the epoch.
    """

    placed: tuple[Block, ...]
    marks: tuple[int, ...]
    live_bytes: int
    preloads: bool
    traffics: tuple[Traffic, ...]


class EpochCosts(NamedTuple):
    """What an epoch costs; cycles are NPU cycles.

    Args:
        cycles: of the epoch, without waiting for preloaded weights.
        slack: of these, cycles in which flash is idle.
        preloading: cycles of flash that the epoch needs before it starts.
        compute_cycles: of the units.
        ram_cycles: of the slowest memory or stream.
        flash_cycles: of reading weights while the epoch runs.
        fixed_cycles: of starting the epoch, or of calling software.
        ram_bytes: read and written, external RAM left out.
        external_bytes: read and written in external RAM.
        flash_bytes: read.
        energy: relative, idle power left out.
    """

    cycles: float
    slack: float
    preloading: float
    compute_cycles: float
    ram_cycles: float
    flash_cycles: float
    fixed_cycles: float
    ram_bytes: float
    external_bytes: float
    flash_bytes: int
    energy: float


@dataclass(frozen=True, eq=False)
class Step:
    """One epoch in one state of the memory; made once, then compared by identity.

    Args:
        epoch: that runs, or a depth-first segment.
        state: number of the memory's state that it leaves.
        placement: of its blocks.
        members: costs of each of its members.
        costs: of all of them, without waiting for preloaded weights.
    """

    epoch: Epoch
    state: int
    placement: Placement
    members: tuple[EpochCosts, ...]
    costs: EpochCosts

    @property
    def marks(self) -> tuple[int, ...]:
        """Per pool, bytes from its base to the end of the highest block that is allocated."""
        return self.placement.marks

    @property
    def live_bytes(self) -> int:
        """Most bytes in use while it runs or its weights are preloaded."""
        return self.placement.live_bytes

    @property
    def cycles(self) -> float:
        """NPU cycles, without waiting for preloaded weights."""
        return self.costs.cycles

    @cached_property
    def rows(self) -> tuple[tuple[str, dict[str, float]], ...]:
        """Per operation its name and its profile, without waiting for preloaded weights.

        Operations of one epoch share its cycles in proportion to the cycles of their own units,
        ``compute_cycles``, and with them what units, memories, flash and the start of the epoch
        have in them: its units run at the same time, so that the slowest of them counts for all;
        slices and concatenations around stripes count for the operation beside them.
        """
        rows: dict[str, dict[str, float]] = {}
        for member, costs in zip(self.epoch.members, self.members, strict=True):
            total = sum(demand.compute for demand in member.demands)
            for name, demand in zip(member.span.names, member.demands, strict=True):
                share = demand.compute / total if total else 1 / len(member.demands)
                own = {
                    "cycles": costs.cycles * share,
                    "compute_cycles": demand.compute,
                    "units_cycles": costs.compute_cycles * share,
                    "ram_cycles": costs.ram_cycles * share,
                    "flash_cycles": costs.flash_cycles * share,
                    "fixed_cycles": costs.fixed_cycles * share,
                    "wait_cycles": 0.0,
                    "macs": demand.macs,
                    "flash_bytes": demand.stored,
                }
                before = rows.get(name)
                if before is not None:
                    own = {key: value + before[key] for key, value in own.items()}
                rows[name] = own
        placement = self.placement
        memory = {"live_bytes": placement.live_bytes, "ram_bytes": sum(placement.marks)}
        return tuple((name, row | memory) for name, row in rows.items())
