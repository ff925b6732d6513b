"""Where feature maps and preloaded weights live: placement in memory pools.

All memory is one address space. A block is placed once, when its epoch starts, and stays where it
is until the last epoch that reads it has ended. Three policies:

- ``ping_pong`` (the default, which reproduces the RAM that ST publishes for its own compiler): the
  pools in order of preference, those that the epoch reads from last, so that reading and writing
  go to different memories; first fit from the lowest address.
- ``first_fit``: the lowest address in any internal pool, whatever it holds.
- ``by_size`` is decided for all blocks together and lives in :mod:`.packing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from npu_tune.targets.neural_art.hardware import Hardware, Pool, PoolKind

ALIGNMENT = 16
"""Bytes; the addresses in ST's buffer tables are multiples of it (most of them of 64)."""

PING_PONG = "ping_pong"
FIRST_FIT = "first_fit"
BY_SIZE = "by_size"
POLICIES = (PING_PONG, FIRST_FIT, BY_SIZE)

AUTO = "auto"


class Block(NamedTuple):
    """A piece of memory in use.

    Args:
        start: address of the first byte.
        end: address behind the last byte.
        last: position of the last operation that needs it.
        name: of the feature map, or what else it holds.
    """

    start: int
    end: int
    last: int
    name: str


Live = tuple[Block, ...]
"""Blocks in use at one time, by address."""


class Memory:
    """The RAM of a hardware, as a placer of blocks; the blocks in use are passed in.

    Args:
        hardware: gives the pools.
        virtual_pools: whether a block may span pools that touch.
        policy: ``ping_pong`` or ``first_fit``.
        external: whether RAM outside the chip may be used.
    """

    def __init__(
        self, hardware: Hardware, *, virtual_pools: bool, policy: str, external: bool
    ) -> None:
        self.internal = hardware.internal
        self.pools = (*hardware.internal, *(hardware.external if external else ()))
        self._spans = _joined(self.internal) if virtual_pools else ()
        by_address = tuple(sorted(self.internal, key=lambda pool: pool.base))
        self._by_preference = self.internal if policy == PING_PONG else by_address
        self._ping_pong = policy == PING_PONG
        self._external = hardware.external if external else ()

    def place(
        self, live: Live, size: int, *, prefer: str = AUTO, reads: Iterable[int] = ()
    ) -> int | None:
        """The address at which a block of ``size`` bytes goes; None where nothing holds it.

        Args:
            live: everything that is in use meanwhile, by address.
            size: in bytes.
            prefer: ``auto`` or the kind of the pool to try first.
            reads: addresses of what the same epoch reads.
        """
        for low, high in self._candidates(size, prefer, reads):
            start = _first_gap(live, low, high, size)
            if start is not None:
                return start
        return None

    def _candidates(
        self, size: int, prefer: str, reads: Iterable[int]
    ) -> Iterable[tuple[int, int]]:
        """Ranges of addresses in the order in which they are tried."""
        pools = list(self._by_preference)
        if self._ping_pong:
            read = tuple(reads)
            pools.sort(key=lambda pool: any(pool.base <= a < pool.end for a in read))
        if prefer != AUTO:
            pools = sorted((*pools, *self._external), key=lambda pool: pool.kind != prefer)
        elif not self._ping_pong and self._spans:
            pools = []  # the spans cover every pool and more
        yield from ((p.base, p.end) for p in pools if p.size_bytes >= size)
        yield from self._spans
        yield from ((p.base, p.end) for p in self._external)

    def pool_at(self, address: int) -> Pool:
        """The pool an address belongs to."""
        for pool in self.pools:
            if pool.base <= address < pool.end:
                return pool
        raise LookupError(f"The address {address:#x} is in no pool.")

    def pieces(self, start: int, end: int) -> tuple[tuple[Pool, int], ...]:
        """The pools that a range of addresses lies in, with the bytes in each."""
        return tuple(
            (pool, min(end, pool.end) - max(start, pool.base))
            for pool in self.pools
            if pool.base < end and start < pool.end
        )

    def high_water(self, live: Iterable[Block]) -> tuple[int, ...]:
        """Per pool, bytes from its base to the end of the highest block in it."""
        blocks = tuple(live)
        return tuple(
            max((min(b.end, p.end) - p.base for b in blocks if b.start < p.end and b.end > p.base),
                default=0)
            for p in self.pools
        )  # fmt: skip


def with_block(live: Live, block: Block) -> Live:
    """The blocks in use with one more, still by address."""
    position = 0
    for other in live:
        if other.start > block.start:
            break
        position += 1
    return (*live[:position], block, *live[position:])


def live_bytes(live: Iterable[Block]) -> int:
    """Bytes in use."""
    return sum(block.end - block.start for block in live)


def is_external(pool: Pool) -> bool:
    """Whether a pool is outside the chip."""
    return pool.kind is PoolKind.EXTERNAL


def _first_gap(live: Live, low: int, high: int, size: int) -> int | None:
    """The lowest aligned address in a range behind which ``size`` bytes are free."""
    start = low
    for block in live:
        if block.end <= start:
            continue
        if block.start >= start + size:
            break
        start = -(-block.end // ALIGNMENT) * ALIGNMENT
    return start if start + size <= high else None


def _joined(pools: tuple[Pool, ...]) -> tuple[tuple[int, int], ...]:
    """Address ranges of internal pools that touch, joined; lowest first."""
    joined: list[tuple[int, int]] = []
    for pool in sorted(pools, key=lambda pool: pool.base):
        if joined and joined[-1][1] == pool.base:
            joined[-1] = (joined[-1][0], pool.end)
        else:
            joined.append((pool.base, pool.end))
    return tuple(joined)
