"""Placement of feature maps, preloaded weights and partial sums in memory pools.

All memory is one address space. A block is placed when its epoch starts and stays there until the
last epoch that reads it has ended. There are three policies:

- ``ping_pong`` (the default, which reproduces the RAM that ST publishes for its own compiler):
  first fit in the pools in order of preference, with those that the epoch reads from moved to the
  end, so that reads and writes use different memories.
- ``first_fit``: the lowest free address in any internal pool.
- ``by_size`` places all blocks at once, see :mod:`.packing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from npu_tune.targets.neural_art.hardware import Hardware, MemoryPool, PoolKind

ALIGNMENT = 16
"""In bytes; the addresses in ST's buffer tables are multiples of it (most of them of 64)."""

PING_PONG = "ping_pong"
FIRST_FIT = "first_fit"
BY_SIZE = "by_size"
POLICIES = (PING_PONG, FIRST_FIT, BY_SIZE)

AUTO = "auto"


class Block(NamedTuple):
    """A range of addresses in use.

    Args:
        start: address of the first byte.
        end: address behind the last byte.
        last: position of the last operation that uses it.
        name: of the feature map, or a description of other content.
    """

    start: int
    end: int
    last: int
    name: str


Live = tuple[Block, ...]
"""The blocks in use at one time, in order of address."""


class Location(NamedTuple):
    """The pools that a range of addresses is in.

    Args:
        pieces: (index in :attr:`Memory.pools`, share of the range in that pool) per pool.
        marks: per pool of the memory, bytes from its base to the end of the range; 0 outside.
    """

    pieces: tuple[tuple[int, float], ...]
    marks: tuple[int, ...]


class Memory:
    """Finds addresses in the RAM of a hardware; its callers keep the blocks in use.

    Args:
        hardware: gives the pools.
        virtual_pools: whether a block may span adjacent pools.
        policy: ``ping_pong`` or ``first_fit``.
        external: whether RAM outside the chip may be used.
    """

    def __init__(
        self, hardware: Hardware, *, virtual_pools: bool, policy: str, external: bool
    ) -> None:
        self.internal = hardware.internal
        self.pools = (*hardware.internal, *(hardware.external if external else ()))
        self._ranges = tuple((pool.base, pool.end) for pool in self.pools)
        self._spans = _join_pools(self.internal) if virtual_pools else ()
        self._policy = policy
        self._tried: dict[tuple[str, tuple[int, ...]], tuple[tuple[int, int], ...]] = {}
        self._found: dict[tuple[int, int], Location] = {}

    def place(
        self, live: Live, size: int, *, prefer: str = AUTO, reads: Iterable[int] = ()
    ) -> int | None:
        """Finds the address of a new block; None if no pool has room.

        Args:
            live: the blocks in use, in order of address.
            size: in bytes.
            prefer: ``auto`` or the kind of pool to try first.
            reads: addresses of the blocks that the same epoch reads.
        """
        busy = tuple(map(self._index, reads)) if self._policy == PING_PONG else ()
        key = (prefer, busy)
        ranges = self._tried.get(key)
        if ranges is None:
            ranges = self._tried[key] = self._ranges_in_order(prefer, busy)
        for low, high in ranges:
            if high - low < size:
                continue
            start = _first_gap(live, low, high, size)
            if start is not None:
                return start
        return None

    def place_weights(self, live: Live, size: int, kind: str) -> int | None:
        """Finds the address of weights that stay for good; None where there is no room.

        The memories that feature maps like least come first.

        Args:
            live: the blocks in use, in order of address.
            size: in bytes.
            kind: of pool; ``auto`` for any on the chip.
        """
        pools = self.pools if kind != AUTO else self.internal
        ranges = [(p.base, p.end) for p in reversed(pools) if kind in (AUTO, p.kind)]
        for low, high in (*ranges, *(self._spans if kind == AUTO else ())):
            start = _first_gap(live, low, high, size)
            if start is not None:
                return start
        return None

    def pool_at(self, address: int) -> MemoryPool:
        """The pool that an address is in."""
        return self.pools[self._index(address)]

    def where(self, start: int, end: int) -> Location:
        """Finds the pools that a range of addresses is in."""
        found = self._found.get((start, end))
        if found is None:
            inside = [min(end, high) - max(start, low) for low, high in self._ranges]
            found = self._found[start, end] = Location(
                tuple(
                    (index, size / (end - start)) for index, size in enumerate(inside) if size > 0
                ),
                tuple(
                    min(end, high) - low if size > 0 else 0
                    for size, (low, high) in zip(inside, self._ranges, strict=True)
                ),
            )
        return found

    def high_water(self, blocks: Iterable[Block]) -> tuple[int, ...]:
        """Per pool, bytes from its base to the end of the highest block in it."""
        marks = [self.where(block.start, block.end).marks for block in blocks]
        if len(marks) == 1:
            return marks[0]
        return tuple(map(max, *marks)) if marks else (0,) * len(self.pools)

    def _index(self, address: int) -> int:
        for index, (low, high) in enumerate(self._ranges):
            if low <= address < high:
                return index
        raise LookupError(f"The address {address:#x} is in no pool.")

    def _ranges_in_order(self, prefer: str, busy: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Ranges of addresses in the order in which they are tried."""
        inside = len(self.internal)
        order = list(range(inside))
        if self._policy == PING_PONG:
            order.sort(key=lambda index: index in busy)
        else:
            order.sort(key=lambda index: self.pools[index].base)
        outside = list(range(inside, len(self.pools)))
        if prefer != AUTO:
            order = sorted(order + outside, key=lambda index: self.pools[index].kind != prefer)
        elif self._policy == FIRST_FIT and self._spans:
            order = []  # the joined ranges cover every pool
        return (
            *(self._ranges[index] for index in order),
            *self._spans,
            *(self._ranges[index] for index in outside),
        )


def with_block(live: Live, block: Block) -> Live:
    """The blocks in use with one more, still in order of address."""
    position = 0
    for other in live:
        if other.start > block.start:
            break
        position += 1
    return (*live[:position], block, *live[position:])


def live_bytes(live: Iterable[Block]) -> int:
    """Sum of the bytes of blocks in use."""
    return sum(block.end - block.start for block in live)


def is_external(pool: MemoryPool) -> bool:
    """Tells whether a pool is outside the chip."""
    return pool.kind is PoolKind.EXTERNAL


def _first_gap(live: Live, low: int, high: int, size: int) -> int | None:
    """The lowest aligned address in a range with ``size`` free bytes; None if there is none."""
    start = -(-low // ALIGNMENT) * ALIGNMENT
    for block in live:
        if block.end <= start:
            continue
        if block.start >= start + size:
            break
        start = -(-block.end // ALIGNMENT) * ALIGNMENT
    return start if start + size <= high else None


def _join_pools(pools: tuple[MemoryPool, ...]) -> tuple[tuple[int, int], ...]:
    """Joins the address ranges of adjacent pools; lowest first."""
    joined: list[tuple[int, int]] = []
    for pool in sorted(pools, key=lambda pool: pool.base):
        if joined and joined[-1][1] == pool.base:
            joined[-1] = (joined[-1][0], pool.end)
        else:
            joined.append((pool.base, pool.end))
    return tuple(joined)
