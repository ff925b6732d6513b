"""The epochs and depth-first segments that a plan is put together from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.choice import PRELOAD, RESIDENT, STREAM, Choice
from npu_tune.targets.neural_art.compiler.demand import Demand
from npu_tune.targets.neural_art.compiler.epoch import make_epoch
from npu_tune.targets.neural_art.compiler.grouping import Option
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE, Cut, SegmentRows
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.knobs import NUMBERS_OF_STRIPES
from npu_tune.targets.neural_art.plan.estimate import CycleEstimate, Estimator
from npu_tune.targets.neural_art.plan.layers import WEIGHTS, LayerChoices

_MOST_OPERATIONS = 16
"""Of a segment that is planned; longer ones hold more rows than they save."""

_PLACES = (STREAM, PRELOAD, RESIDENT)
_LEAN_PLACES = (STREAM, RESIDENT)
"""Where the weights of a segment may be."""

_MOST_JOINED = 4
"""Operations of an epoch that is planned."""


class Piece(NamedTuple):
    """One epoch, or one segment.

    Args:
        last: position of the last operation.
        cost: cycles, and bytes of resident weights at their price.
        needs: bytes in use meanwhile, without resident weights.
        choices: one per operation.
        streamed: bytes of weights from flash, of a single epoch.
        estimate: of a single epoch; None for a segment.
        early: bytes of preloaded weights, which arrive while the piece before is in memory.
    """

    last: int
    cost: float
    needs: int
    choices: tuple[Choice, ...]
    streamed: int
    estimate: CycleEstimate | None
    early: int = 0


class Pieces:
    """All pieces of one network at one price of RAM for weights.

    Args:
        scheduler: for the network-wide choices at hand.
        layers: the cheapest choices of each layer.
        estimator: of epochs.
        price: cycles for which a byte of resident weights is worth having; infinite for none.
        halos: how the rows around a stripe may come.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        layers: LayerChoices,
        estimator: Estimator,
        *,
        price: float,
        halos: Sequence[str],
    ) -> None:
        self._scheduler = scheduler
        self._graph = scheduler.graph
        self._layers = layers
        self._estimator = estimator
        self._price = price
        self._halos = halos
        self._in_stripes: dict[tuple[int, int, str, str], tuple[float, int]] = {}
        count = len(self._graph.operations)
        self._carried = carried_bytes(self._graph)
        self._weights = [self._cheaper_weights(position) for position in range(count)]

    @cached_property
    def at(self) -> tuple[tuple[Piece, ...], ...]:
        """The pieces that start at each position."""
        count = len(self._graph.operations)
        plain = [tuple(self._epochs(position)) for position in range(count)]
        alone = [min(piece.needs for piece in own) for own in plain]
        return tuple(
            (*own, *self._segments(position, alone)) for position, own in enumerate(plain)
        )

    def needs(self) -> tuple[int, ...]:
        """The bytes that pieces need, each number once, in rising order."""
        return tuple(sorted({piece.needs for own in self.at for piece in own}))

    def _cheaper_weights(self, position: int) -> str:
        """Where an operation by itself is cheaper to have its weights."""
        costs = {}
        for weights in WEIGHTS:
            option = self._layers.cheapest(position, weights)
            costs[weights] = self._cost(self._estimator.cycles(option.alone), option.demand)
        return min(costs, key=lambda weights: costs[weights])

    def _cost(self, cycles: float, demand: Demand) -> float:
        return cycles + (self._price * demand.resident if demand.resident else 0.0)

    def _epochs(self, first: int) -> Iterator[Piece]:
        """The operation by itself, and joined with those behind it as long as units suffice."""
        for length in range(1, _MOST_JOINED + 1):
            last = first + length - 1
            if last >= len(self._graph.operations):
                return
            if length > 1 and not self._may_join(last - 1):
                return
            piece = self._cheapest_epoch(first, last)
            if piece is None:
                return
            # What is always joined with the next one ends no epoch, but where units do not suffice.
            if self._layers.offers(last, "chain", False) or not self._continues(piece, last):
                yield piece

    def _may_join(self, position: int) -> bool:
        joinable = self._scheduler.grouping.joinable[position]
        return joinable and self._layers.offers(position, "chain", True)

    def _continues(self, piece: Piece, last: int) -> bool:
        return (
            self._may_join(last)
            and self._cheapest_epoch(last - len(piece.choices) + 1, last + 1) is not None
        )

    def _cheapest_epoch(self, first: int, last: int) -> Piece | None:
        best: Piece | None = None
        positions = range(first, last + 1)
        options = [
            tuple(self._layers.by_accelerators(position, self._weights[position]).values())
            for position in positions
        ]
        for combination in product(*options):
            joined = [
                self._scheduler.option(position, option.asked._replace(chain=position < last))
                for position, option in zip(positions, combination, strict=True)
            ]
            piece = self._epoch(first, joined)
            if piece is not None and (best is None or piece.cost < best.cost):
                best = piece
        return best

    def _epoch(self, first: int, options: Sequence[Option]) -> Piece | None:
        """The piece of options that share an epoch; None where they cannot."""
        epoch = self._scheduler.grouping.joined(first, tuple(options))
        if epoch is None:
            return None
        estimate = self._estimator.estimate(epoch)
        span, total = epoch.span, epoch.total
        written = span.output_bytes + sum(size for _, size in span.further)
        return Piece(
            epoch.last,
            self._cost(estimate.cycles, total),
            self._carried[first] + written + sum(total.workspace),
            tuple(option.asked for option in options),
            total.streamed,
            estimate,
        )

    def _segments(self, first: int, alone: Sequence[int]) -> Iterator[Piece]:
        """Segments that need less than the operations by themselves."""
        for last in self._scheduler.grouping.ends[first]:
            if last - first >= _MOST_OPERATIONS:
                return
            height = self._graph.maps[self._graph.operations[last].output].height
            # Preloaded weights save time, and take room that others may not have.
            for halo, places in product(self._halos, (_PLACES, _LEAN_PLACES)):
                least = max(alone[first : last + 1])
                for stripes in NUMBERS_OF_STRIPES:
                    if stripes > height:
                        break
                    piece = self._segment(first, last, stripes, halo, places)
                    if piece.needs < least:
                        least = piece.needs
                        yield piece

    def _segment(
        self, first: int, last: int, stripes: int, halo: str, places: Sequence[str]
    ) -> Piece:
        rows = self._scheduler.grouping.rows(first, last, stripes, halo)
        choices, cost, buffers, sums = [], 0.0, 0, []
        for position, cut in zip(range(first, last + 1), rows.cuts, strict=True):
            weights, own, buffer = self._cheapest_in_stripes(position, cut, halo, places)
            option = self._layers.cheapest(position, STREAM if weights == STREAM else RESIDENT)
            cost += own
            buffers += buffer
            sums.append(self._sums_in_stripes(position, option, cut))
            choices.append(
                option.asked._replace(
                    weights=weights,
                    depth_first=position < last,
                    chain=position < last and self._layers.usual(position).chain,
                )
            )
        choices[0] = choices[0]._replace(stripes=stripes, halo=halo)
        return Piece(
            last,
            cost,
            self._segment_bytes(first, last, rows, halo, sums) + buffers,
            tuple(choices),
            0,
            None,
            buffers,
        )

    def _segment_bytes(
        self, first: int, last: int, rows: SegmentRows, halo: str, sums: Sequence[int]
    ) -> int:
        output = self._graph.maps[self._graph.operations[last].output].size_bytes
        before = self._carried[first]
        if halo != RECOMPUTE:
            return before + output + sum(rows.held.values()) + max(sums)
        taken = {name: most for name, (most, _) in rows.taken.items()}
        held = {**rows.held, **taken, self._graph.operations[last].output: 0}
        written: dict[str, int] = {}
        until: dict[str, int] = {}
        for place, operation in enumerate(self._graph.operations[first : last + 1]):
            written[operation.output] = place
            until |= dict.fromkeys(operation.inputs, place)
        # Slices are there from the start, rows from their writer on, both until they are read.
        at_once = max(
            room
            + sum(
                size
                for name, size in held.items()
                if written.get(name, 0) <= place <= until.get(name, place)
            )
            for place, room in enumerate(sums)
        )
        return max(before + output + at_once, self._carried[last + 1] + output)

    def _sums_in_stripes(self, position: int, option: Option, cut: Cut) -> int:
        """Bytes of partial sums of an operation in stripes."""
        if not option.demand.workspace:
            return 0
        return sum(self._scheduler.demand(position, option.choice, cut).workspace)

    def _cheapest_in_stripes(
        self, position: int, cut: Cut, halo: str, places: Sequence[str]
    ) -> tuple[str, float, int]:
        """Where the weights should be, with what the operation costs and the room it takes.

        Weights that are preloaded come from flash once, for which the segment is taken to wait.
        """
        found = []
        for weights in places:
            if not self._layers.offers(position, "weights", weights):
                continue
            cost, size = self._cost_in_stripes(position, cut, halo, weights)
            found.append((cost, weights, size if weights == PRELOAD else 0))
        cost, weights, buffer = min(found)
        return weights, cost, buffer

    def _cost_in_stripes(
        self, position: int, cut: Cut, halo: str, weights: str
    ) -> tuple[float, int]:
        """Cost of an operation in stripes; where none are recomputed it hardly depends on others."""
        key = (position, cut.stripes, halo, weights)
        if halo != RECOMPUTE and key in self._in_stripes:
            return self._in_stripes[key]
        option = self._layers.cheapest(position, STREAM if weights == STREAM else RESIDENT)
        choice = option.choice._replace(weights=weights)
        demand = self._scheduler.demand(position, choice, cut)
        span = self._scheduler.grouping.span(position, position)
        estimate = self._estimator.estimate(make_epoch(span, (choice,), (demand,)))
        if weights == PRELOAD:
            rate = self._estimator.flash_cycles(demand.preloaded)
            found = estimate.others + estimate.fixed + rate, demand.buffer
        else:
            found = self._cost(estimate.cycles, demand), 0
        self._in_stripes[key] = found
        return found


def carried_bytes(graph: OperationGraph) -> list[int]:
    """Per operation, and at the end, bytes of maps that were written before and are still in use."""
    last = graph.last_use
    written = set(graph.inputs)
    carried = []
    for position in range(len(graph.operations) + 1):
        carried.append(
            sum(graph.maps[name].size_bytes for name in written if last[name] >= position)
        )
        if position < len(graph.operations):
            written.update(graph.operations[position].outputs)
    return carried
