"""Which operators a plan runs as a cascade, and in stripes of which height."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ethosu.vela.architecture_allocator import is_nearest, to_upscale

from npu_tune.targets.ethos_u.compiler.fitting import can_cascade
from npu_tune.targets.ethos_u.compiler.vendor import VendorChoice
from npu_tune.targets.ethos_u.plan import OperatorPlan


@dataclass(frozen=True, slots=True)
class Striping:
    """The cascades of a subgraph.

    Args:
        heights: rows of the OFM per stripe, by operator; its whole height outside cascades.
        cascades: first and last operator of each cascade, from the first one on.
    """

    heights: tuple[int, ...]
    cascades: tuple[tuple[int, int], ...]


def planned_striping(
    operators: Sequence[Any], plans: Sequence[OperatorPlan], vendor: Sequence[VendorChoice]
) -> Striping:
    """Makes the cascades that a plan asks for, as far as operators can be cascaded.

    Args:
        operators: Vela's ``SchedulerOperation`` of each, in order.
        plans: one per operator.
        vendor: what Vela's own search decided for each, where the plan leaves it to Vela.
    """
    return _Striper(operators, plans, vendor).striping()


@dataclass(frozen=True, slots=True)
class _Striper:
    operators: Sequence[Any]
    plans: Sequence[OperatorPlan]
    vendor: Sequence[VendorChoice]

    def striping(self) -> Striping:
        heights = [op.ofm.shape.height for op in self.operators]
        cascades = []
        for start, end in self._runs():
            last = end
            while last > start:
                cascade = self._cascade_ending(last, start)
                if len(cascade) > 1:
                    cascades.append((min(cascade), last))
                    for index, height in cascade.items():
                        heights[index] = height
                last -= max(len(cascade), 1)
        return Striping(tuple(heights), tuple(sorted(cascades)))

    def _runs(self) -> Iterator[tuple[int, int]]:
        """First and last index of each row of operators that the plan wants cascaded."""
        start = 0
        for index, op in enumerate(self.operators):
            if not (self._joined(index) and can_cascade(op, self.operators)):
                if index > start:
                    yield start, index
                start = index + 1

    def _joined(self, index: int) -> bool:
        planned = self.plans[index].cascade
        if planned is not None:
            return planned
        cascade = self.vendor[index].cascade
        following = self.vendor[index + 1 : index + 2]
        return cascade != 0 and any(choice.cascade == cascade for choice in following)

    def _cascade_ending(self, last: int, start: int) -> dict[int, int]:
        """Stripe heights of the longest cascade from ``last`` backwards, not before ``start``.

        What is left to Vela follows its own cascade where that ends here too; otherwise a stripe
        has ``stride`` times the rows of the one behind it. Where a stripe reaches the whole
        feature map, the cascade begins behind that operator.
        """
        ops = self.operators
        even = any(is_nearest(op.resampling_mode) for op in ops[start : last + 1])
        heights: dict[int, int] = {}
        derived = 1
        for index in range(last, start - 1, -1):
            op = ops[index]
            height = self._stripe_height(index, last, derived)
            if index < last:
                height = max(height, ops[index + 1].kernel.stride.y)
            height += height % 2 if even else 0
            if height >= op.ofm.shape.height:
                break
            heights[index] = height
            odd = 0 if even else height % to_upscale(op.resampling_mode)
            derived = (height + odd) * op.kernel.stride.y
        return heights

    def _stripe_height(self, index: int, last: int, derived: int) -> int:
        """Rows per stripe of an operator in a cascade that ends with ``last``."""
        planned = self.plans[index].stripe_height
        if planned is not None:
            return planned
        vendor = self.vendor[index]
        return vendor.stripe_height if vendor.cascade == last else derived
