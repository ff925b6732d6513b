"""Cascades for a memory limit, by dynamic programming over rows of operators.

Operators in a row that can run stripe by stripe are divided into cascades and single operators
so that no part needs more fast storage than a limit and the sum of cycles is least. A cascade
needs its whole first IFM, its whole last OFM and a rolling buffer between each two operators;
inside it weights are read in place, or copied with nothing to hide the transfer behind. The
idea of a search over such groups is that of TVM's cascader (TVM RFC 37); the sizes are those of
Vela's ``CascadeBuilder``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from npu_tune.space import Value

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices
    from npu_tune.targets.ethos_u.planner import Frame

LAST_STRIPES = (1, 2, 4, 8)
"""Rows per stripe that are tried for the last operator of a cascade; those before it get what it
needs at a time or, tight, the fewest rows that make sense: as many as the stride behind them."""

RELAXED = (1.0, 1.1, 1.25, 1.5, 2.0)
"""Memory limits that are tried, relative to the least one."""


@dataclass(frozen=True, slots=True)
class Group:
    """Operators ``first`` to ``last`` as one cascade, or one operator by itself.

    Args:
        first: index of its first operator.
        last: index of its last operator.
        stripe_heights: rows per stripe of each operator; empty where it is no cascade.
        cycles: sum over its operators.
        memory_bytes: of fast storage while it runs.
    """

    first: int
    last: int
    stripe_heights: tuple[int, ...]
    cycles: float
    memory_bytes: float


@dataclass(frozen=True)
class CascadePlanner:
    """Divides a network into cascades.

    Args:
        operators: in execution order.
        frames: of a schedule without cascades, with feature maps in the formats that they have
            between groups; inside a cascade they have bricks of 16 channels.
        linear: names of the operators whose OFM is NHWC there.
    """

    operators: Sequence[OperatorChoices]
    frames: Sequence[Frame]
    linear: Container[str] = ()

    def plans(self) -> Iterator[dict[str, Value]]:
        """Values by full knob name, for the least memory first; each differs from the others.

        What has neither cascades nor other formats is left out.
        """
        known = set()
        least = self._least_memory()
        for relaxed in RELAXED:
            groups = self.divide(least * relaxed)
            shape = tuple((group.first, group.last, group.stripe_heights) for group in groups)
            differs = bool(self.linear) or any(group.stripe_heights for group in groups)
            if differs and shape not in known:
                known.add(shape)
                yield self._changes(groups)

    def divide(self, limit_bytes: float) -> list[Group]:
        """Finds the division with the fewest cycles under a limit; empty where there is none."""
        best: list[Group | None] = []
        totals = [0.0]
        for last in range(len(self.operators)):
            ending = [
                (totals[group.first] + group.cycles, group)
                for group in self._ending[last]
                if group.memory_bytes <= limit_bytes
            ]
            total, chosen = min(ending, key=lambda pair: pair[0], default=(float("inf"), None))
            totals.append(total)
            best.append(chosen)
        groups: list[Group] = []
        last = len(self.operators) - 1
        while last >= 0:
            group = best[last]
            if group is None:
                return []
            groups.insert(0, group)
            last = group.first - 1
        return groups

    def _least_memory(self) -> float:
        sizes = sorted({group.memory_bytes for ending in self._ending for group in ending})
        low, high = 0, len(sizes) - 1
        while low < high:
            middle = (low + high) // 2
            if self.divide(sizes[middle]):
                high = middle
            else:
                low = middle + 1
        return sizes[low]

    @cached_property
    def _ending(self) -> list[list[Group]]:
        """By index, all groups that end there."""
        return [list(self._groups(last)) for last in range(len(self.operators))]

    def _groups(self, last: int) -> Iterator[Group]:
        operator = self.operators[last]
        alone = self.frames[last].feature_map_bytes
        cycles = _least_cycles(operator, operator.shape[0])
        yield Group(last, last, (), max(cycles, operator.weight_transfer_cycles), alone)
        for stripe in LAST_STRIPES:
            if stripe in operator.stripe_heights:
                yield from self._cascades(last, stripe, tight=False)
        yield from self._cascades(last, 1, tight=True)

    def _cascades(self, last: int, stripe: int, *, tight: bool) -> Iterator[Group]:
        height, following, cycles, buffers = stripe, 0, 0.0, 0.0
        heights: tuple[int, ...] = ()
        for first in range(last, -1, -1):
            operator = self.operators[first]
            own = operator.geometry
            if height >= operator.shape[0] or own.resampled:
                return
            if first < last:
                if not operator.joins_next:
                    return
                buffers += self._rolling_bytes(first, height, following)
            heights = (height, *heights)
            cycles += _cascaded_cycles(operator, height)
            if first < last:
                memory = self.frames[first].ifm_bytes + self._beside(first, last) + buffers
                yield Group(first, last, heights, cycles, memory)
            following = height
            height = own.stride_rows * (1 if tight else height)

    def _beside(self, first: int, last: int) -> float:
        """The last OFM and all else that lives while a cascade runs, but for its first IFM."""
        ofm, elsewhere = self.frames[last], self.frames[first].elsewhere_bytes
        if ofm.ofm_since is not None and ofm.ofm_since < first:
            return max(elsewhere, ofm.ofm_bytes)  # it lives already
        return elsewhere + ofm.ofm_bytes

    def _rolling_bytes(self, producer: int, stripe: int, consumer_stripe: int) -> float:
        """Between two operators (``rolling_buffer_shape`` of Vela 5.2.0)."""
        consumer = self.operators[producer + 1].geometry
        rows = (consumer_stripe - 1) * consumer.stride_rows + consumer.kernel_rows
        rows = min(rows, self.operators[producer].shape[0])
        height = -(-(stripe + rows) // rows) * rows
        return float(height * self.operators[producer].geometry.ofm_row_bytes)

    def _changes(self, groups: Sequence[Group]) -> dict[str, Value]:
        changes: dict[str, Value] = {}
        for group in groups:
            for index in range(group.first, group.last + 1):
                operator = self.operators[index]
                if operator.joins_next:
                    joined = "join" if index < group.last else "split"
                    changes[f"{operator.name}/cascade"] = joined
            if (name := self.operators[group.last].name) in self.linear:
                changes[f"{name}/ofm_format"] = "NHWC"
            for index, height in enumerate(group.stripe_heights, group.first):
                operator = self.operators[index]
                if height in operator.stripe_heights:
                    changes[f"{operator.name}/stripe_height"] = height
        return changes


def _least_cycles(operator: OperatorChoices, height: int) -> float:
    costs = operator.blocks_for(height) or [operator.vendor]
    return min(cost.cycles for cost in costs)


def _cascaded_cycles(operator: OperatorChoices, height: int) -> float:
    """With weights read in place or copied first, whichever is quicker."""
    least = _least_cycles(operator, height)
    if not operator.weight_elements:
        return least
    costs = operator.blocks_for(height) or [operator.vendor]
    in_place = min(max(cost.cycles, operator.in_place_cycles(cost)) for cost in costs)
    return min(in_place, least + operator.weight_transfer_cycles)
