"""What Vela's own search decides, which is what a plan leaves to it."""

from __future__ import annotations

from dataclasses import dataclass

from ethosu.vela import scheduler

NO_LIMIT = 1 << 32
"""What Vela passes as memory limit while it looks for the fastest schedule."""


@dataclass(frozen=True, slots=True)
class VendorChoice:
    """What Vela's own search decided for one operator.

    Args:
        cascade: index of the last operator of its cascade; 0 where it is in none.
        stripe_height: rows of the OFM per stripe.
    """

    cascade: int
    stripe_height: int


@dataclass(frozen=True, slots=True)
class VendorSchedule:
    """What Vela's own search decided for one subgraph.

    Args:
        choices: per operator, in order.
        buffer_limit: the memory limit under which weights were buffered, in bytes.
        sram_limit: the limit for feature maps in fast storage, in bytes.
        reserved: bytes of fast storage kept free of weight buffers, by operator.
    """

    choices: tuple[VendorChoice, ...]
    buffer_limit: int
    sram_limit: int
    reserved: tuple[int, ...]


class VendorScheduler(scheduler.Scheduler):  # type: ignore[misc]
    """Vela's own scheduler, which can also say what it decided."""

    def decisions(self) -> VendorSchedule:
        """Call it once a schedule is applied."""
        schedule = self.sg.schedule
        costs = [schedule.cost_map[op] for op in self.sched_ops]
        fastest = schedule.label == "MAX_BUFFERED"
        return VendorSchedule(
            tuple(VendorChoice(cost.cascade, cost.stripe.height) for cost in costs),
            NO_LIMIT if fastest else self.sram_limit,
            self.sram_limit,
            tuple(op.evicted_fms_size for op in self.sched_ops),
        )
