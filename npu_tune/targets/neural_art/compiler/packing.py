"""Places all blocks of a run at once, the largest first, in one contiguous range of RAM.

Greedy by size with the lowest free offset, as it is common for embedded inference (Pisarchyk and
Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT
from npu_tune.targets.neural_art.hardware import Hardware, PoolKind


class MemoryRequest(NamedTuple):
    """A block to be placed.

    Args:
        size: in bytes.
        first: first epoch in which it is in use.
        last: last epoch in which it is in use.
    """

    size: int
    first: int
    last: int


def pack(requests: Sequence[MemoryRequest]) -> tuple[int, ...]:
    """Assigns an offset to each request; blocks in use at the same time do not overlap."""
    offsets = [0] * len(requests)
    placed: list[int] = []
    order = sorted(range(len(requests)), key=lambda i: (-requests[i].size, requests[i].first, i))
    for index in order:
        wanted = requests[index]
        busy = sorted(
            (offsets[i], offsets[i] + requests[i].size)
            for i in placed
            if requests[i].first <= wanted.last and wanted.first <= requests[i].last
        )
        start = 0
        for low, high in busy:
            if low >= start + wanted.size:
                break
            start = max(start, _align(high))
        offsets[index] = start
        placed.append(index)
    return tuple(offsets)


def addresses(hardware: Hardware, requests: Sequence[MemoryRequest]) -> tuple[int, ...] | None:
    """Packs requests into adjacent internal pools; None if they do not fit.

    The accelerator's private RAM is used if it suffices, otherwise all RAM from the lowest
    address on. The largest blocks get the highest addresses, where private RAM usually is, so
    that as many bytes as possible are in fast memory and no gap is left below.

    Returns:
        An address per request.
    """
    offsets = pack(requests)
    ends = [_align(offset + wanted.size) for offset, wanted in zip(offsets, requests, strict=True)]
    size = max(ends, default=0)
    base = _base_address(hardware, size)
    return None if base is None else tuple(base + size - end for end in ends)


def _base_address(hardware: Hardware, size: int) -> int | None:
    pools = sorted(hardware.internal, key=lambda pool: pool.base)
    private = [pool for pool in pools if pool.kind is PoolKind.NPU] or pools
    low, high = _align(private[0].base), private[-1].end
    if size > high - low:
        low = _align(pools[0].base)
    touching = all(one.end == other.base for one, other in pairwise(pools))
    return low if touching and low + size <= high else None


def _align(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT
