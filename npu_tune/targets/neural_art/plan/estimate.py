"""What an epoch costs before anything is placed: the model's own rule with every map near."""

from __future__ import annotations

from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.hardware import Hardware


class CycleEstimate(NamedTuple):
    """NPU cycles of an epoch, or of a whole segment.

    Args:
        flash: of streaming weights, all of it.
        others: of the slowest of units and memories.
        fixed: what does not overlap with anything.
    """

    flash: float
    others: float
    fixed: float

    @property
    def cycles(self) -> float:
        """Of the epoch, where weights are streamed."""
        return max(self.flash, self.others) + self.fixed


class Estimator:
    """Estimates epochs, as if what they read and write lay in memories of their own, the fastest.

    Args:
        hardware: gives the memories.
        rule: turns demands into cycles.
    """

    def __init__(self, hardware: Hardware, rule: CostRule) -> None:
        pools = hardware.internal or hardware.external
        self._rule = rule
        self._byte = min(pool.cycles_per_byte for pool in pools)
        self._access = min(pool.clock_ratio for pool in pools)

    def cycles(self, epoch: Epoch) -> float:
        """Cycles of an epoch or a segment, with weights as its choices say."""
        return sum(self.estimate(member).cycles for member in epoch.members)

    def flash_cycles(self, size: int) -> float:
        """Cycles in which flash brings so many bytes."""
        return size * self._rule.flash_cycles_per_byte

    def estimate(self, epoch: Epoch) -> CycleEstimate:
        """Estimates a single epoch."""
        rule, total, span = self._rule, epoch.total, epoch.span
        read = float(sum(size for _, size in span.inputs[1:]) + total.fetched)
        if span.inputs:
            read += span.inputs[0][1] * total.reads
        written = span.output_bytes + sum(size for _, size in span.further) + total.partial
        others = max(
            total.compute * rule.compute_factor,
            max(read, written, total.taken) * self._byte,
            max(total.scattered_in, total.scattered_out or span.scattered_out) * self._access,
        )
        fixed = rule.software_epoch_cycles if span.software else rule.epoch_cycles * total.parts
        serial = max(total.serial * rule.flash_cycles_per_byte, total.serial_cycles)
        streamed = 0 if total.buffer else total.streamed
        return CycleEstimate(streamed * rule.flash_cycles_per_byte, others, fixed + serial)
