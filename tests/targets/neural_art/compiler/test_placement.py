"""Blocks placed one by one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import STM32N6, memories, with_pools

from npu_tune.targets.neural_art.compiler.placement import (
    ALIGNMENT,
    Block,
    Memory,
    live_bytes,
    with_block,
)

POLICIES = ("ping_pong", "first_fit")


def memory_of(hardware, policy="ping_pong", *, virtual=True, external=True) -> Memory:
    return Memory(hardware, virtual_pools=virtual, policy=policy, external=external)


@given(
    memories(),
    st.sampled_from(POLICIES),
    st.booleans(),
    st.lists(
        st.tuples(
            st.integers(1, 9000),
            st.sampled_from(("auto", "npu", "cpu")),
            st.integers(0, 5),
        ),
        max_size=25,
    ),
)
@settings(max_examples=200, deadline=None)
def test_a_sequence_of_blocks_never_overlaps(hardware, policy, virtual, wanted):
    memory = memory_of(hardware, policy, virtual=virtual)
    live = ()
    for number, (size, prefer, kept) in enumerate(wanted):
        live = tuple(block for block in live if block.last >= number)
        reads = [block.start for block in live[:2]]
        start = memory.place(live, size, prefer=prefer, reads=reads)
        if start is None:
            continue
        live = with_block(live, Block(start, start + size, number + kept, str(number)))
        assert start % ALIGNMENT == 0
        assert all(one.end <= other.start for one, other in pairwise(live))
        pieces = [
            max(0, min(start + size, pool.end) - max(start, pool.base)) for pool in memory.pools
        ]
        assert sum(pieces) == size
        assert virtual or sum(piece > 0 for piece in pieces) == 1
    assert live_bytes(live) == sum(block.end - block.start for block in live)


@given(memories(), st.sampled_from(POLICIES), st.integers(1, 40_000))
@settings(max_examples=100, deadline=None)
def test_empty_memory_holds_whatever_one_pool_holds(hardware, policy, size):
    start = memory_of(hardware, policy, virtual=False).place((), size)
    largest = max(
        pool.end - -(-pool.base // ALIGNMENT) * ALIGNMENT
        for pool in (*hardware.internal, *hardware.external)
    )
    assert (start is not None) == (size <= largest)


def test_writing_goes_to_another_pool_than_reading():
    memory = memory_of(STM32N6)
    first = memory.place((), 1000)
    assert first == STM32N6.internal[0].base
    live = (Block(first, first + 1000, 9, "in"),)
    assert memory.place(live, 1000, reads=[first]) == STM32N6.internal[1].base
    assert memory.place(live, 1000) == first + 1008


def test_the_first_fit_is_the_lowest_address():
    memory = memory_of(STM32N6, "first_fit")
    lowest = min(pool.base for pool in STM32N6.internal)
    assert memory.place((), 1000, reads=[lowest]) == lowest


def test_a_block_spans_pools_that_touch_only_where_that_is_allowed():
    hardware = with_pools(1024, 1024)
    assert memory_of(hardware).place((), 2048) == hardware.internal[0].base
    assert memory_of(hardware, virtual=False).place((), 2048) is None
    assert memory_of(with_pools(1024, 1024, gap=16)).place((), 2048) is None


def test_ram_outside_is_taken_last_and_only_where_that_is_allowed():
    hardware = with_pools(1024, external=1 << 16)
    outside = hardware.external[0].base
    assert memory_of(hardware).place((), 1024) == hardware.internal[0].base
    assert memory_of(hardware).place((), 1025) == outside
    assert memory_of(hardware, external=False).place((), 1025) is None


def test_a_kind_of_pool_that_is_preferred_is_tried_first():
    cpu = next(pool for pool in STM32N6.internal if pool.kind == "cpu")
    assert memory_of(STM32N6).place((), 100, prefer="cpu") == cpu.base
    too_large = cpu.size_bytes + 1
    assert memory_of(STM32N6).place((), too_large, prefer="cpu") is not None
