"""Lower bounds of depth-first segments: their cycles, and the memory that they need.

Where a segment starts makes no difference to the rows that its operations compute. So dynamic
programming from its last operation backwards bounds all segments that end there: an epoch of the
segment is one operation or several that may be joined, and what comes behind it is bounded already.

Cycles are those of :mod:`.stripes`, summed, because the epochs of a segment run one after the other.
With ``recompute`` there are also one epoch for each stripe that cuts a slice of each map from outside
and one that puts the output together, with what they read and write.

Memory: while any epoch of a segment runs, all maps that were written before it and are still read,
and the whole output, are in use. With ``keep`` so are the rows of all maps between its epochs;
the bound takes those ways of joining operations that leave the fewest. With ``recompute`` it takes
those with the smallest peak: at an epoch there are the rows that it writes, and those that were
written before it (in the segment, or as slices) and are read by it or later. Of these a map that has
earlier readers too counts with the rows of the later ones alone, which are at most as many. In the
end there are the stripes and the output that they are put together to.

Only operations that read each row once can share an epoch with the one before: their reads are at
least the rows of the cut, so that the bound lets no other ones join.

Slack: a segment that starts at ``b`` ends at ``t'`` with ``e' = t' - slack'`` (see :mod:`.relaxed`), where the
slack is that of the last epoch in its last stripe, so that ``e'`` counts ``busy - (busy - flash) / stripes``
of the last epoch instead of ``busy``. That rises with ``busy`` and ``flash`` too. Both are bounded for
the last epoch, by its least over all choices and prices; the largest difference of the two bounds
counts as slack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from npu_tune.pareto import Floats
from npu_tune.targets.neural_art.compiler.rows import (
    HALOS,
    RECOMPUTE,
    RowsStep,
    all_bytes,
    most_bytes,
    rows_from_behind,
)
from npu_tune.targets.neural_art.compiler.rule import CostRule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.stripes import Striped
from npu_tune.targets.neural_art.plan.pieces import carried_bytes


class SegmentBound(NamedTuple):
    """Lower bounds of one segment.

    Args:
        first: position of the first operation.
        last: position of the last one.
        needs: bytes in use at one time, without preloaded and resident weights.
        cycles: and prices, of the shape of :attr:`~.stripes.Prices.shape`; the second row counts
            the time of preloading.
        slack: cycles that count as idle ones of flash when the last stripe ends, by price of
            residents.
    """

    first: int
    last: int
    needs: float
    cycles: Floats
    slack: Floats


class SegmentBounds:
    """Bounds every segment of a network.

    Args:
        scheduler: for given network-wide knobs.
        rule: turns demands into cycles.
        striped: bounds operations in stripes.
        numbers: of stripes that a segment may have.
    """

    def __init__(
        self, scheduler: Scheduler, rule: CostRule, striped: Striped, numbers: Sequence[int]
    ) -> None:
        self._graph = scheduler.graph
        self._rule = rule
        self._striped = striped
        self._numbers = numbers
        self._carried = [*carried_bytes(self._graph)]
        outputs = sum(self._graph.maps[name].size_bytes for name in self._graph.outputs)
        self._carried.append(outputs)
        self._starts: dict[int, list[int]] = {}
        for first, ends in enumerate(scheduler.grouping.ends):
            for last in ends:
                self._starts.setdefault(last, []).append(first)

    def __iter__(self) -> Iterator[SegmentBound]:
        for last, starts in self._starts.items():
            height = self._graph.maps[self._graph.operations[last].output].height
            for stripes in self._numbers:
                for halo in HALOS:
                    if stripes <= height:
                        yield from self._ending(last, frozenset(starts), stripes, halo)

    def _ending(
        self, last: int, starts: frozenset[int], stripes: int, halo: str
    ) -> Iterator[SegmentBound]:
        """The segments that end at a position, by dynamic programming over their members."""
        steps: dict[int, RowsStep] = {}
        again = halo == RECOMPUTE
        size = self._graph.maps[self._graph.operations[last].output].size_bytes
        copied = 2 * size * self._striped.cycles_per_byte
        # By the position of the first operation, of all that comes from there on.
        cycles: dict[int, Floats] = {last + 1: np.array(0.0)}
        held: dict[int, float] = {last + 1: 0.0}
        slack = np.zeros(self._striped.shape[1])
        if again:
            cycles[last + 1] = np.array(copied + self._rule.epoch_cycles)
            slack += copied
        for step in rows_from_behind(self._graph, min(starts), last, stripes=stripes, halo=halo):
            first = step.position
            steps[first] = step
            waiting = self._waiting(step) if again else 0.0
            best, least = np.full(self._striped.shape, np.inf), np.inf
            for end in self._ends(steps, first, last):
                shares = [(s.computed, s.read) for s in (steps[p] for p in range(first, end + 1))]
                cost = self._striped.cost(first, shares, stripes)
                total = cost.cycles + cycles[end + 1]
                best = np.minimum(best, total)
                own = steps[end].held if end < last else 0.0
                if again:
                    least = min(least, max(waiting + own, held[end + 1]))
                else:
                    least = min(least, own + held[end + 1])
                    if end == last:
                        slack = np.maximum(slack, cost.slack)
            cycles[first], held[first] = best, least
            if first in starts:
                needs = self._carried[first] + size + least
                moves = 0.0
                if again:
                    needs = max(needs, self._carried[last + 1] + size)
                    moves = self._slices(step, stripes)
                yield SegmentBound(first, last, needs, best + moves, slack)

    def _ends(self, steps: dict[int, RowsStep], first: int, last: int) -> Iterator[int]:
        """Where epochs may end that start at a position, as far as rows are read once."""
        for end in self._striped.runs[first]:
            if end > last:
                return
            if end > first:
                step = steps[end]
                source = self._graph.operations[end].inputs[0]
                made = max(
                    [1.0]
                    + [
                        steps[p].computed
                        for p in range(first, end)
                        if self._graph.operations[p].output == source
                    ]
                )
                if not step.source:
                    made = 1.0
                if step.read > made * (1 + 1e-12):
                    return
            yield end

    def _waiting(self, step: RowsStep) -> float:
        """Bytes of rows that were computed before an operation and are read from there on."""
        return float(
            sum(most_bytes(self._graph, name, rows) for name, rows in step.waiting.items())
        )

    def _slices(self, step: RowsStep, stripes: int) -> float:
        """Cycles of cutting the maps from outside into slices."""
        moved = sum(all_bytes(self._graph, name, rows) for name, rows in step.waiting.items())
        fixed = self._rule.epoch_cycles * stripes * len(step.waiting)
        return fixed + 2 * moved * self._striped.cycles_per_byte
