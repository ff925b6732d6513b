"""What lies in memory while a network runs: buffers in their pools, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations


@dataclass(frozen=True, slots=True)
class MemoryBuffer:
    """A stretch of memory that holds one thing for some time.

    Args:
        name: what it holds, such as a tensor's name or ``weights of conv1``.
        layer: that writes it, by the name it has in the profile; "" for none of them.
        pool: the memory it lies in, such as ``SRAM``.
        address: of its first byte, from the pool's beginning.
        size_bytes: how many bytes it takes there.
        first: the step in which it is in use first.
        last: the step in which it is in use last, itself included.
    """

    name: str
    layer: str
    pool: str
    address: int
    size_bytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size_bytes

    def is_live(self, step: int) -> bool:
        """Whether it is in use in a step."""
        return self.first <= step <= self.last


@dataclass(frozen=True, slots=True)
class MemoryTimeline:
    """Every buffer of a compiled network over the steps in which it runs.

    Args:
        steps: what runs in each step, in execution order: a layer's name, or several joined.
        buffers: everything in memory; those of a pool never overlap while both are in use.
        capacities: bytes by pool, for pools whose size is known.
    """

    steps: tuple[str, ...]
    buffers: tuple[MemoryBuffer, ...]
    capacities: Mapping[str, int] = field(default_factory=dict)

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools in which anything lies, in the order of their first buffer."""
        return tuple(dict.fromkeys(buffer.pool for buffer in self.buffers))

    def in_pool(self, pool: str) -> tuple[MemoryBuffer, ...]:
        """The buffers of one pool."""
        return tuple(buffer for buffer in self.buffers if buffer.pool == pool)

    def used_bytes(self, pool: str) -> int:
        """What must be there of a pool: up to the highest address in use."""
        return max((buffer.end for buffer in self.in_pool(pool)), default=0)

    def live_bytes(self, pool: str, step: int) -> int:
        """The bytes of a pool that are in use in a step."""
        return sum(b.size_bytes for b in self.in_pool(pool) if b.is_live(step))

    def overlaps(self) -> tuple[tuple[MemoryBuffer, MemoryBuffer], ...]:
        """Pairs of buffers that share addresses while both are in use; a sound timeline has none."""
        return tuple(
            (one, other)
            for pool in self.pools
            for one, other in combinations(self.in_pool(pool), 2)
            if one.first <= other.last and other.first <= one.last
            if one.address < other.end and other.address < one.end
        )

    def peak(self, pool: str) -> tuple[int, tuple[MemoryBuffer, ...]]:
        """The step in which most bytes of a pool are in use, and what they hold, largest first.

        Raises:
            ValueError: if nothing ever lies in the pool.
        """
        buffers = self.in_pool(pool)
        if not buffers:
            raise ValueError(f"nothing lies in the pool {pool!r}")
        step = max(range(len(self.steps)), key=lambda each: self.live_bytes(pool, each))
        live = (buffer for buffer in buffers if buffer.is_live(step))
        return step, tuple(sorted(live, key=lambda b: (-b.size_bytes, b.address)))
