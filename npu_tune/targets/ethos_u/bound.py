"""What no configuration of a network falls below, in cycles and in bytes of SRAM.

Both bounds hold for every configuration of the search space, whatever its operators and the
network as a whole choose, by the arithmetic of Vela 5.2.0.

Cycles
------
Of operator i, let x[i] be what it adds to ``full_cycles``: the largest of its NPU, SRAM, DRAM and flash
cycles, and the copying of its weights where it is in a cascade. Let c[i] be the cycles of its
computation, t[i] the transfer of all its encoded weights to fast storage, f[i] that of their first
slice, and s[i] what it leaves for fetching the weights of the next operator ahead
(``slack_buffering_cycles``).

1. x[i] >= l[i], the least of max(c[i], traffic of the feature maps) over all legal blocks,
   traversals, formats and places of the feature maps around it. Vela's estimate of an operator
   depends on nothing else of the rest of the network but s[i-1], which shortens the transfer of
   weights alone. With one buffer the NPU takes c[i] + t[i] - min(f[i], s[i-1]) cycles, where f[i] <=
   t[i]: the first slice is encoded in no more bytes than the whole. With two it takes c[i] at
   least. In a cascade, whose weights are in one slice, it takes c[i] - min(t[i], s[i-1]), to which
   ``full_cycles`` adds t[i].
2. Either the weights are read in place, and x[i] >= p[i], the same least with their traffic; or they
   are copied, and x[i] >= t[i] - s[i-1] in each of the three cases (with two buffers, t[i] - s[i-1] +
   s[i] is one side of the maximum).
3. s[i-1] <= x[i-1] + e[i-1]. What an operator leaves is the computation of its last slice. That is
   no more than the computation of all slices, since Vela's estimate does not fall when the OFM gets
   deeper. e is how much more the computation may have been estimated at while feature maps were still
   in slow memory; it is 0 where they have one place.

So x[i] >= max(l[i], min(p[i], t[i] - x[i-1] - e[i-1])), of which the right side falls by at most as
much as x[i-1] rises. By induction from the end, the least sum of x[i] and all behind it falls by at
most as much too. So it never pays to make an operator slower than it must be, and the sum of the
values that meet this with equality, taken one after the other, is a lower bound.

SRAM
----
Addresses of what is in use at one time do not overlap, so that the peak of bytes in use at any time
is a lower bound. Operators run in their order, alone or in cascades of neighbours. While a group
runs, every feature map that is written before its end and read after its beginning is in use as a
whole, in the format that takes fewer bytes; but for the IFMs of a cascade's operators behind its
first, which may be rolling buffers. Such a buffer holds a whole number of times, and at least twice,
the rows that its reader needs for one stripe (``rolling_buffer_shape``), and a stripe has at least
one row. Alone, an operator that works in place needs one map for its IFM and OFM, as large as the
larger. Weight buffers and constants come on top. The bound is the least, over all divisions of the
operators into groups, of the largest group: dynamic programming over the ends of groups, with every
cascade that Vela's rules would allow if all formats allowed it. While an operator runs on the CPU, what
it reads and writes is in use as a whole.

Where feature maps may live in slow memory (Dedicated_Sram), nothing need be in SRAM.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorCosts:
    """The least cycles of an operator by itself.

    Args:
        least: with its weights in fast storage, or in place where they cannot be copied.
        in_place: with its weights read where they are stored; only where they can be copied.
        transfer: to copy all weights to fast storage; 0 where they cannot be copied.
        excess: by how much what it leaves for fetching ahead may exceed what it takes.
    """

    least: float
    in_place: float = math.inf
    transfer: float = 0.0
    excess: float = 0.0


@dataclass(frozen=True, slots=True)
class MapLife:
    """A feature map in SRAM.

    Args:
        size: the fewest bytes that it takes as a whole.
        first: index of the first operator that writes it; -1 for an input of the network.
        last: index of the last one that reads it; beyond all operators for an output.
    """

    size: float
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class OperatorMaps:
    """What of an operator's feature maps depends on how it runs.

    Args:
        ifm: index of its IFM among the lives; None where that is no feature map in SRAM.
        rolling: the fewest bytes of that where it is a rolling buffer.
        saves: bytes of which it needs fewer alone, because its OFM can take the place of an IFM.
        joins_next: True where some configuration may run it together with the next operator.
    """

    ifm: int | None
    rolling: float
    saves: float
    joins_next: bool


def least_cycles(operators: Iterable[OperatorCosts]) -> float:
    """A lower bound of ``full_cycles`` of operators that run one after the other."""
    total = slack = 0.0
    for costs in operators:
        cycles = max(costs.least, min(costs.in_place, costs.transfer - slack))
        total += cycles
        slack = cycles + costs.excess
    return total


def least_memory(operators: Sequence[OperatorMaps], lives: Sequence[MapLife]) -> float:
    """A lower bound of the peak of SRAM of operators that run one after the other."""
    peaks = [0.0]
    for last in range(len(operators)):
        peaks.append(
            min(
                max(peaks[first], _group_bytes(operators, lives, first, last))
                for first in _beginnings(operators, last)
            )
        )
    return peaks[-1]


def _beginnings(operators: Sequence[OperatorMaps], last: int) -> Iterator[int]:
    """First operators of the groups that may end with an operator."""
    yield last
    first = last - 1
    while first >= 0 and operators[first].joins_next:
        yield first
        first -= 1


def _group_bytes(
    operators: Sequence[OperatorMaps], lives: Sequence[MapLife], first: int, last: int
) -> float:
    rolling = {
        each.ifm: each.rolling for each in operators[first + 1 : last + 1] if each.ifm is not None
    }
    used = sum(rolling.values()) + _whole_bytes(lives, first, last, without=rolling)
    return used - operators[first].saves if first == last else used


def _whole_bytes(
    lives: Sequence[MapLife], first: int, last: int, *, without: Collection[int]
) -> float:
    return math.fsum(
        life.size
        for index, life in enumerate(lives)
        if life.first <= last and life.last >= first and index not in without
    )
