"""Least relaxed cost of whole networks, segments and resident weights among the choices.

The cost is cycles + price * bytes, of the peak of the bytes in use and thus of resident weights,
which are in use from the start to the end: ``peak = P + R``, with ``R`` their bytes and ``P`` the most
of everything else. Dynamic programming from the last operation backwards gives for any limit ``M``
the least cycles + price * R of all sequences of epochs (bounded as in :mod:`.relaxed`) and segments
(as in :mod:`.segments`) with ``P <= M``; it never rises with ``M``. So a network with ``P`` above one
limit ``L`` and at most the next one ``M`` costs at least that for ``M``, and price * (L + 1). The least of
these over all intervals between limits bounds the cost; intervals that matter are cut until they
lose next to nothing.

The weights that a segment preloads take at most ``M`` less what else it needs. For every price ``v`` of
their bytes, its cycles are at least the least of cycles + v * bytes, less v * (M - needs): weak duality,
of which the best of some prices is taken. They come from flash before the segment, in as many cycles
``p``, of which the slack of the epoch before hides no more than itself: with ``p`` left out or counted
in full, the least costs ``c0`` and ``c1`` bound it by ``max(c0, c1 - slack)``. The same holds for the least
of each over several segments with the same ends, whose slack counts as the largest one of them.

For a price of 0 this bounds the cycles; with several prices it bounds each weighted sum of cycles and
bytes, by convexity: whatever lies above the lines ``cycles + price * bytes = least`` costs at least
what one of the corners between them does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npu_tune.pareto import Floats, nondominated
from npu_tune.targets.neural_art.front.relaxed import RelaxedEpochs
from npu_tune.targets.neural_art.front.segments import SegmentBound
from npu_tune.targets.neural_art.front.stripes import Prices

_UNLIMITED = 1e12
"""Bytes that no network needs."""
_FIRST_LEVELS = 24
_ROUNDS = 8
_GAIN = 1e-3
"""Limits on memory that are tried first, rounds in which the intervals between them are cut, and the
share of the cost that may be lost to an interval that is not."""


class _Segments(NamedTuple):
    """The segments from one position to another.

    Args:
        last: position of the last operation.
        needs: bytes, of shape (segments,).
        cycles: of shape (segments, 2, prices of residents, prices of buffers).
    """

    last: int
    needs: Floats
    cycles: Floats


class _Rest(NamedTuple):
    """Least costs from a position on, by limit on memory, as a function of the slack before it.

    Args:
        plain: where nothing is preloaded, of shape (levels,).
        preloading: per epoch with preloaded weights, cycles of flash before it.
        buffers: bytes of these weights.
        preloaded: costs of these, of shape (epochs, levels).
        segments: of segments, without and with the time of preloading, of shape (2, levels).
    """

    plain: Floats
    preloading: Floats
    buffers: Floats
    preloaded: Floats
    segments: Floats

    def after(self, slack: Floats, in_use: Floats, levels: Floats) -> Floats:
        """Costs behind epochs, of shape (epochs, levels)."""
        segments = np.maximum(self.segments[0], self.segments[1] - slack[:, None])
        least: Floats = np.minimum(self.plain, segments)
        for preloading, size, cost in zip(
            self.preloading, self.buffers, self.preloaded, strict=True
        ):
            own = np.maximum(0.0, preloading - slack)[:, None] + cost
            own = np.where(in_use[:, None] + size > levels, np.inf, own)
            least = np.minimum(least, own)
        return least


class Paths:
    """Least costs over all sequences of epochs and segments.

    Args:
        epochs: by first position.
        segments: all of them.
        prices: under which segments are bounded.
    """

    def __init__(
        self, epochs: Sequence[RelaxedEpochs], segments: Iterable[SegmentBound], prices: Prices
    ) -> None:
        self._prices = prices
        self._epochs = epochs
        found: dict[tuple[int, int], list[SegmentBound]] = {}
        for segment in segments:
            found.setdefault((segment.first, segment.last), []).append(segment)
        self._segments: list[list[_Segments]] = [[] for _ in epochs]
        self._slack = np.zeros((len(epochs), len(prices.residents)))
        for (first, last), own in found.items():
            needs_of = np.array([segment.needs for segment in own])
            costs = np.array([segment.cycles for segment in own])
            self._segments[first].append(_Segments(last, needs_of, costs))
            slack = np.array([segment.slack for segment in own])
            self._slack[last] = np.maximum(self._slack[last], slack.max(axis=0))
        needs = [each.needs for each in epochs]
        needs += [each.needs for own in self._segments for each in own]
        self.needs = np.unique(np.concatenate(needs))
        self._least = self.least_memory()

    def least_memory(self) -> float:
        """The smallest peak of bytes in use."""
        end = len(self._epochs)
        least = np.zeros(end + 1)
        for position in reversed(range(end)):
            own = self._epochs[position]
            best = np.maximum(own.needs, least[own.last + 1]).min()
            for segments in self._segments[position]:
                best = min(best, np.maximum(segments.needs, least[segments.last + 1]).min())
            least[position] = best
        return float(least[0])

    def least_cost(self, number: int) -> float:
        """Least cycles + price * bytes of memory, resident weights among them.

        A network whose peak without resident weights is above one limit and at most the next one
        costs at least what it does below the latter, and the price of the former.

        Args:
            number: of the price of residents, which is that of the peak too.
        """
        price = float(self._prices.residents[number])
        needs = self.needs[self.needs >= self._least]
        wanted = np.geomspace(needs[0], needs[-1], _FIRST_LEVELS)
        found = needs[np.searchsorted(needs, wanted * (1 - 1e-9))]
        new = np.unique([*found, needs[0] - 1, _UNLIMITED])
        costs: dict[float, float] = {}
        epochs = [_cheapest(own, price) for own in self._epochs]
        for _ in range(_ROUNDS):
            costs |= zip(
                new.tolist(), self._least_costs(epochs, number, new).tolist(), strict=True
            )
            levels = np.array(sorted(costs))
            cycles = np.array([costs[level] for level in levels.tolist()])
            low = np.append(0.0, levels[:-1] + 1)
            least = cycles + price * low
            worth = np.flatnonzero(least < (cycles + price * levels).min() * (1 - _GAIN))
            new = np.unique(
                [n for i in worth for n in _between(needs, low[i], levels[i]) if n not in costs]
            )
            if not len(new):
                break
        return float(least.min())

    def _least_costs(
        self, cheapest: Sequence[RelaxedEpochs], number: int, levels: Floats
    ) -> Floats:
        """Least cycles, and price of resident weights, below each limit on memory.

        Args:
            cheapest: epochs at this price.
            number: of the price of residents.
            levels: limits in bytes, rising.
        """
        end = len(self._epochs)
        nothing = np.zeros(len(levels))
        never = np.full((2, len(levels)), np.inf)
        no_lines = np.empty(0), np.empty(0), np.empty((0, len(levels)))
        rests = {end: _Rest(nothing, *no_lines, never)}
        behind: dict[int, Floats] = {}
        for position in reversed(range(end)):
            slack = self._slack[position, number : number + 1]
            behind[position] = rests[position + 1].after(slack, np.zeros(1), levels)
            epochs = cheapest[position]
            total = np.empty((len(epochs.last), len(levels)))
            for last in np.unique(epochs.last):
                here = epochs.last == last
                total[here] = rests[last + 1].after(epochs.slack[here], epochs.needs[here], levels)
            total += epochs.cycles[:, None]
            total[epochs.needs[:, None] > levels] = np.inf
            late = epochs.preloading > 0
            plain = total[~late].min(axis=0) if (~late).any() else never[0]
            segments = self._least_segments(position, number, levels, behind)
            kept = np.flatnonzero(late)[_worth_keeping(epochs, total, late, plain)]
            rests[position] = _Rest(
                plain, epochs.preloading[kept], epochs.buffers[kept], total[kept], segments
            )
        zero = np.zeros(1)
        least: Floats = rests[0].after(zero, zero, levels)[0]
        return least

    def _least_segments(
        self, position: int, number: int, levels: Floats, behind: dict[int, Floats]
    ) -> Floats:
        """Least costs from a position on where a segment starts there, as in :class:`_Rest`."""
        found = np.full((2, len(levels)), np.inf)
        for last, needs, costs in self._segments[position]:
            room = levels - needs[:, None]
            # Of shape (segments, 2, levels, prices of buffers).
            spent = self._prices.buffers * np.maximum(0.0, room)[:, None, :, None]
            least = (costs[:, :, number, None, :] - spent).max(axis=-1)
            least = np.where(room[:, None, :] < 0, np.inf, least).min(axis=0)
            found = np.minimum(found, least + behind[last])
        return found


def _worth_keeping(
    epochs: RelaxedEpochs, total: Floats, late: NDArray[np.bool_], plain: Floats
) -> NDArray[np.intp]:
    """Which epochs with preloading may be cheaper than others, after some slack."""
    useful = np.flatnonzero((total[late] < plain).any(axis=1))
    columns = np.column_stack((epochs.preloading[late], epochs.buffers[late], total[late]))
    columns[np.isinf(columns)] = np.finfo(float).max
    return useful[nondominated(columns[useful])] if len(useful) else useful


def _between(needs: Floats, low: float, high: float) -> tuple[float, ...]:
    """Limits that cut an interval: its middle, and what leaves its upper end alone."""
    first, end = np.searchsorted(needs, (low, high))
    middle = (float(needs[(first + end) // 2]),) if first < end else ()
    return (*middle, high - 1) if low < high < _UNLIMITED else middle


def _cheapest(epochs: RelaxedEpochs, price: float) -> RelaxedEpochs:
    """The epochs that no other one dominates at a price of resident weights."""
    cycles = epochs.cycles + price * epochs.residents
    columns = np.column_stack(
        (epochs.preloading, cycles, cycles - epochs.slack, epochs.needs, epochs.buffers)
    )
    kept: list[NDArray[np.intp]] = []
    for last in np.unique(epochs.last):
        here = np.flatnonzero(epochs.last == last)
        kept.append(here[nondominated(columns[here])])
    rows = np.concatenate(kept)
    return RelaxedEpochs(
        last=epochs.last[rows],
        preloading=epochs.preloading[rows],
        cycles=cycles[rows],
        slack=epochs.slack[rows],
        needs=epochs.needs[rows],
        buffers=epochs.buffers[rows],
        residents=epochs.residents[rows],
    )
