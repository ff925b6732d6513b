"""Blocks placed together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import STM32N6, with_pools

from npu_tune.targets.neural_art.compiler.packing import MemoryRequest, addresses, pack
from npu_tune.targets.neural_art.compiler.placement import ALIGNMENT


@st.composite
def requests(draw) -> MemoryRequest:
    first = draw(st.integers(0, 20))
    return MemoryRequest(draw(st.integers(1, 500)), first, first + draw(st.integers(0, 6)))


def ends(wanted, offsets):
    return [offset + each.size for each, offset in zip(wanted, offsets, strict=True)]


@given(st.lists(requests(), max_size=25))
@settings(max_examples=200, deadline=None)
def test_no_two_blocks_in_use_at_the_same_time_overlap(wanted):
    placed = list(zip(wanted, pack(wanted), strict=True))
    for (one, start), (other, begin) in combinations(placed, 2):
        if one.first <= other.last and other.first <= one.last:
            assert start + one.size <= begin or begin + other.size <= start


@given(st.lists(requests(), min_size=1, max_size=25))
@settings(max_examples=100, deadline=None)
def test_offsets_are_aligned_and_the_whole_is_no_smaller_than_what_is_in_use(wanted):
    offsets = pack(wanted)
    assert all(offset >= 0 and offset % ALIGNMENT == 0 for offset in offsets)
    peak = max(
        sum(each.size for each in wanted if each.first <= time <= each.last) for time in range(30)
    )
    aligned = sum(-(-each.size // ALIGNMENT) * ALIGNMENT for each in wanted)
    assert peak <= max(ends(wanted, offsets)) <= aligned


def test_blocks_that_are_never_in_use_together_share_their_memory():
    wanted = [MemoryRequest(64, 0, 1), MemoryRequest(64, 2, 3), MemoryRequest(32, 4, 4)]
    assert pack(wanted) == (0, 0, 0)


def test_a_block_goes_into_the_gap_that_larger_ones_leave():
    wanted = [MemoryRequest(96, 0, 1), MemoryRequest(48, 1, 2), MemoryRequest(80, 2, 3)]
    assert max(ends(wanted, pack(wanted))) == 144


def placed(hardware, *sizes: int) -> list[tuple[int, int]]:
    """Start and end of blocks that are all in use at one time."""
    wanted = [MemoryRequest(size, 0, 0) for size in sizes]
    found = addresses(hardware, wanted)
    return [] if found is None else [(a, a + s) for a, s in zip(found, sizes, strict=True)]


OWN = [pool for pool in STM32N6.internal if pool.name.startswith("npu")]
LOWEST = min(pool.base for pool in STM32N6.internal)
OWN_BYTES = sum(pool.size_bytes for pool in OWN)


def test_all_lies_in_the_accelerators_own_ram_where_it_fits():
    lowest = min(pool.base for pool in OWN)
    assert placed(STM32N6, 1008) == [(lowest, lowest + 1008)]
    assert placed(STM32N6, OWN_BYTES)[0][0] == lowest


def test_what_is_larger_starts_at_the_lowest_address_with_the_largest_block_on_top():
    (large, small) = placed(STM32N6, OWN_BYTES, 1600)
    assert small == (LOWEST, LOWEST + 1600)
    assert large == (LOWEST + 1600, LOWEST + 1600 + OWN_BYTES)
    everything = sum(pool.size_bytes for pool in STM32N6.internal)
    assert placed(STM32N6, everything) == [(LOWEST, LOWEST + everything)]
    assert placed(STM32N6, everything + 1) == []


def test_nothing_lies_across_a_gap():
    assert placed(with_pools(1024, 1024, gap=64), 100) == []
    assert placed(with_pools(1024, 1024), 2048) != []


def test_addresses_are_aligned_where_pools_are_not():
    hardware = with_pools(1024, base=1000)
    assert [start for start, _ in placed(hardware, 500, 300)] == [1008 + 304, 1008]
    flat = replace(hardware, pools=hardware.pools[:1])
    assert placed(flat, 1024) == []
