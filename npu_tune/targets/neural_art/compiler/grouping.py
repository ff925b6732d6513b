"""Groups operations into epochs and depth-first segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from npu_tune.targets.neural_art.compiler.choice import DIMC, NEUTRAL, STRIPES, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import (
    Epoch,
    Span,
    joinable,
    make_epoch,
    make_span,
    may_join,
)
from npu_tune.targets.neural_art.compiler.rows import (
    Cut,
    SegmentRows,
    segment_ends,
    segment_rows,
)
from npu_tune.targets.neural_art.compiler.segment import CutOperation, make_segment
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Units


@dataclass(slots=True, eq=False)
class Option:
    """A choice for one operation with its demand; compared by identity.

    Args:
        asked: the choice as requested.
        choice: the effective choice.
        demand: of the operation.
        alone: the epoch of this operation only.
    """

    asked: Choice
    choice: Choice
    demand: Demand
    alone: Epoch


_MOST_SEGMENTS = 10_000
"""Segments that are remembered before all are forgotten: there is one for every combination of choices
of its operations, of which a long search sees ever more."""

DemandOf = Callable[[int, Choice, Cut], Demand]
"""The demand of an operation, by position, under a choice and what stripes compute of it."""


class Grouping:
    """Makes the epochs of one graph; the same objects for the same options.

    Args:
        graph: that is compiled.
        units: of the hardware.
        demand_of: of an operation in stripes.
    """

    def __init__(self, graph: OperationGraph, units: Units, demand_of: DemandOf) -> None:
        self._graph = graph
        self._units = units
        self._demand_of = demand_of
        self.joinable = [joinable(graph, i) for i in range(len(graph.operations))]
        self._spans: dict[tuple[int, int], Span] = {}
        self._joined: dict[tuple[int, tuple[Option, ...]], Epoch | None] = {}
        self._segments: dict[tuple[int, tuple[Choice, ...]], Epoch] = {}
        self._rows: dict[tuple[int, int, int, str], SegmentRows] = {}

    @cached_property
    def ends(self) -> tuple[tuple[int, ...], ...]:
        """Per operation, the positions at which a depth-first segment from there may end."""
        return tuple(
            tuple(segment_ends(self._graph, first)) for first in range(len(self._graph.operations))
        )

    def span(self, first: int, last: int) -> Span:
        """The span of consecutive operations."""
        span = self._spans.get((first, last))
        if span is None:
            span = self._spans[first, last] = make_span(self._graph, first, last)
        return span

    def epochs(self, options: Sequence[Option]) -> list[Epoch]:
        """Groups operations: segments first, then epochs that continue while units suffice."""
        segments = self._segment_ends(options)
        epochs: list[Epoch] = []
        position, end = 0, len(options)
        while position < end:
            last = segments.get(position)
            if last is not None:
                epochs.append(self._segment(position, options[position : last + 1]))
                position = last + 1
                continue
            option = options[position]
            epoch = option.alone
            size = 1
            while option.choice.chain and position + size < end:
                if position + size in segments:
                    break
                run = tuple(options[position : position + size + 1])
                joined = self.joined(position, run)
                if joined is None:
                    break
                epoch, option = joined, run[-1]
                size += 1
            epochs.append(epoch)
            position += size
        return epochs

    def _segment_ends(self, options: Sequence[Option]) -> dict[int, int]:
        """The last operation of every segment by its first.

        As many operations as go on depth-first form a segment; where they cannot, because a map
        would be read behind it or an operation cannot be cut, it is the longest part that can.
        """
        found: dict[int, int] = {}
        position = 0
        while position < len(options):
            asked = position
            while asked < len(options) and options[asked].choice.depth_first:
                if options[asked].choice.unit == DIMC:
                    break
                asked += 1
            if asked == position:
                position += 1
                continue
            if asked == len(options) or options[asked].choice.unit == DIMC:
                asked -= 1
            last = max((end for end in self.ends[position] if end <= asked), default=position)
            if last > position:
                found[position] = last
            position = last + 1
        return found

    def _segment(self, first: int, options: Sequence[Option]) -> Epoch:
        """A segment; with its first operation's stripes, as far as there are rows for them."""
        last = first + len(options) - 1
        choice = options[0].choice
        heights = [
            self._graph.maps[operation.output].height
            for operation in self._graph.operations[first : last + 1]
        ]
        stripes = 2 ** (min(choice.stripes, heights[-1]).bit_length() - 1)
        choices = tuple(
            in_stripes(option.choice, -(-height // stripes))
            for option, height in zip(options, heights, strict=True)
        )
        choices = (
            choices[0]._replace(stripes=stripes, halo=choice.halo),
            *choices[1:-1],
            choices[-1]._replace(depth_first=False),
        )
        key = (first, choices)
        segment = self._segments.get(key)
        if segment is None:
            if len(self._segments) >= _MOST_SEGMENTS:
                self._segments.clear()
            rows = self.rows(first, last, stripes, choice.halo)
            operations = [
                CutOperation(own, self._demand_of(first + index, own, cut), cut)
                for index, (own, cut) in enumerate(zip(choices, rows.cuts, strict=True))
            ]
            segment = self._segments[key] = make_segment(
                self._graph, first, operations, rows, halo=choice.halo, units=self._units
            )
        return segment

    def rows(self, first: int, last: int, stripes: int, halo: str) -> SegmentRows:
        """The rows of a segment."""
        key = (first, last, stripes, halo)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = segment_rows(
                self._graph, first, last, stripes=stripes, halo=halo
            )
        return rows

    def joined(self, position: int, run: tuple[Option, ...]) -> Epoch | None:
        """The epoch of one option or of several chained ones; None where they cannot share one."""
        if len(run) == 1:
            return run[0].alone
        key = (position, run)
        if key not in self._joined:
            span = self.span(position, position + len(run) - 1)
            choices = tuple([option.choice for option in run])
            demands = tuple([option.demand for option in run])
            fits = may_join(span, choices, demands, self._units)
            self._joined[key] = make_epoch(span, choices, demands) if fits else None
        return self._joined[key]


def in_stripes(choice: Choice, rows: int) -> Choice:
    """The choice of an operation in a segment, which is cut into stripes alone.

    Args:
        choice: effective, of the operation by itself.
        rows: of its output in a stripe.
    """
    accelerators = choice.accelerators
    if choice.parallel_over == STRIPES:
        accelerators = min(accelerators, rows)
    return choice._replace(
        accelerators=accelerators,
        parallel_over=choice.parallel_over if accelerators > 1 else NEUTRAL.parallel_over,
        parts=NEUTRAL.parts,
        parts_over=NEUTRAL.parts_over,
        depth_first=True,
        stripes=NEUTRAL.stripes,
        halo=NEUTRAL.halo,
    )
