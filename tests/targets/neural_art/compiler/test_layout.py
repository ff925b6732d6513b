"""Blocks of segments and of resident weights in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import SETTINGS, STM32N6, chain, image, metrics_of, run, with_pools

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.epoch import resident_name
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE, POLICIES
from npu_tune.targets.neural_art.compiler.scheduler import Run

GRAPH = chain(image(16, 16), {"kernels": 16, "taps": 3}, {"kernels": 16, "taps": 3})
MAP, WEIGHTS = 16 * 16 * 16, 16 * 16 * 9
RESIDENT = Choice(weights="resident")
DEEP = Choice(depth_first=True, stripes=4)


def residents(found: Run) -> dict[str, str]:
    """The pool of the weights that are in RAM for good, by operation."""
    blocks = {block.name: block for block in found.machine.live(found.beginning.state)}
    return {
        name: found.machine.memory.pool_at(blocks[resident_name(name)].start).name
        for name in ("a", "b")
        if resident_name(name) in blocks
    }


def placed_by(policy: str):
    return replace(SETTINGS, placement=policy)


# Resident weights -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_resident_weights_are_in_memory_from_the_start_to_the_end(policy):
    found = run(GRAPH, RESIDENT, settings=placed_by(policy))
    assert residents(found).keys() == {"a", "b"}
    streamed = metrics_of(GRAPH, settings=placed_by(policy))
    kept = metrics_of(GRAPH, RESIDENT, settings=placed_by(policy))
    assert kept["peak_live_bytes"] == streamed["peak_live_bytes"] + 2 * WEIGHTS


def test_they_go_where_maps_like_least_to_be():
    last = STM32N6.internal[-1].name
    assert residents(run(GRAPH, RESIDENT)) == {"a": last, "b": last}


@pytest.mark.parametrize("kind", ["npu", "cpu", "external"])
@pytest.mark.parametrize("policy", ["ping_pong", "first_fit"])
def test_a_kind_of_pool_can_be_asked_for(kind, policy):
    found = run(GRAPH, RESIDENT._replace(weights_pool=kind), settings=placed_by(policy))
    kinds = {pool.name: pool.kind for pool in STM32N6.pools}
    assert {kinds[pool] for pool in residents(found).values()} == {kind}


def test_no_other_kind_is_taken_where_one_is_asked_for():
    hardware = with_pools(16 * 1024)
    asked = RESIDENT._replace(weights_pool="cpu")
    assert residents(run(GRAPH, asked, hardware=hardware)) == {}
    assert residents(run(GRAPH, RESIDENT, hardware=hardware)).keys() == {"a", "b"}


def test_weights_without_room_are_streamed_and_those_behind_them_may_still_fit():
    small = chain(image(16, 16), {"kernels": 64, "taps": 3}, {"kernels": 8})
    hardware = with_pools(MAP + 1024, external=1 << 20)
    found = run(small, RESIDENT, hardware=hardware)
    assert residents(found).keys() == {"b"}
    assert [step.epoch.choices[0].weights for step in found.steps] == ["stream", "resident"]
    plain = metrics_of(small, [Choice(), RESIDENT], hardware=hardware)
    assert metrics_of(small, RESIDENT, hardware=hardware) == plain


def test_weights_that_take_the_room_of_a_map_push_it_out_of_the_chip():
    hardware = with_pools(2 * MAP, external=1 << 20)
    assert metrics_of(GRAPH, hardware=hardware)["external_ram_bytes"] == 0
    kept = metrics_of(GRAPH, [RESIDENT, Choice()], hardware=hardware)
    assert kept["external_ram_bytes"] == MAP
    with pytest.raises(CompilerError, match="No memory pool has room for the output of 'a'"):
        run(GRAPH, [RESIDENT, Choice()], hardware=with_pools(2 * MAP))


def test_weights_may_span_pools_that_touch():
    graph = chain(image(4, 4), {"kernels": 64}, {"kernels": 64})
    hardware = with_pools(3200, 3200)
    kept = [Choice(), RESIDENT]
    assert residents(run(graph, kept, hardware=hardware)).keys() == {"b"}
    apart = replace(SETTINGS, virtual_pools=False)
    assert residents(run(graph, kept, hardware=hardware, settings=apart)) == {}


def test_weights_for_external_ram_are_there_by_size_too():
    kept = RESIDENT._replace(weights_pool="external")
    found = metrics_of(GRAPH, kept, settings=placed_by(BY_SIZE))
    plain = metrics_of(GRAPH, settings=placed_by(BY_SIZE))
    assert found["external_ram_bytes"] == 2 * WEIGHTS
    assert found["internal_ram_bytes"] == plain["internal_ram_bytes"]
    both = [kept, RESIDENT]
    mixed = metrics_of(GRAPH, both, settings=placed_by(BY_SIZE))
    assert mixed["external_ram_bytes"] == WEIGHTS
    assert mixed["internal_ram_bytes"] == plain["internal_ram_bytes"] + WEIGHTS


def test_packing_needs_no_more_than_is_in_use_where_that_is_at_one_time():
    found = metrics_of(GRAPH, RESIDENT, settings=placed_by(BY_SIZE))
    assert found["ram_bytes"] == found["peak_live_bytes"] == 2 * MAP + 2 * WEIGHTS


# Segments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_a_segment_holds_its_ends_and_the_rows_between(policy):
    found = metrics_of(GRAPH, DEEP, settings=placed_by(policy))
    assert found["peak_live_bytes"] == 2 * MAP + 6 * 16 * 16


@pytest.mark.parametrize("policy", POLICIES)
def test_recomputing_holds_the_output_twice_when_stripes_are_put_together(policy):
    found = metrics_of(GRAPH, DEEP._replace(halo="recompute"), settings=placed_by(policy))
    # While a stripe runs: the input, its slice of 8 rows, 6 rows between and all stripes.
    assert found["peak_live_bytes"] == MAP + (8 + 6) * 16 * 16 + MAP


def test_the_output_may_be_where_a_map_was_that_the_stripes_alone_read():
    graph = chain(image(16, 16), {"kernels": 16}, {"kernels": 16})
    again = DEEP._replace(halo="recompute")
    hardware = with_pools(2 * MAP + 2 * (MAP // 4))
    found = run(graph, again, hardware=hardware)
    (read,) = found.machine.live(found.beginning.state)
    output = found.steps[0].placement.placed[0]
    assert (read.name, output.name) == ("in", "b.out")
    assert output.start == read.start


def test_preloaded_weights_of_a_segment_arrive_together_and_stay():
    early = DEEP._replace(weights="preload")
    found = run(GRAPH, early)
    (step,) = found.steps
    assert step.placement.preloads
    assert step.epoch.total.buffer == 2 * WEIGHTS
    streamed, preloaded = metrics_of(GRAPH, DEEP), metrics_of(GRAPH, early)
    assert preloaded["peak_live_bytes"] == streamed["peak_live_bytes"] + 2 * WEIGHTS


def test_weights_of_a_segment_that_find_no_room_are_streamed():
    graph, hardware = chain(image(16, 4), *[{"kernels": 16, "taps": 3}] * 2), with_pools(2048)
    preloaded = metrics_of(graph, DEEP._replace(weights="preload"), hardware=hardware)
    assert preloaded == metrics_of(graph, DEEP, hardware=hardware)


def test_weights_are_preloaded_behind_a_segment_beside_what_its_last_stripe_uses():
    graph = chain(image(16, 16), *[{"kernels": 16, "taps": 3}] * 3)
    found = run(graph, [DEEP, Choice(), Choice(weights="preload")])
    segment, last = found.steps
    assert (segment.epoch.last, last.placement.preloads) == (1, True)
    assert last.live_bytes == max(
        2 * MAP + WEIGHTS, 2 * MAP + 6 * 16 * 16 + WEIGHTS
    )  # fmt: skip


@given(st.sampled_from((2, 4, 8)), st.sampled_from(("keep", "recompute")), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_every_policy_holds_the_same_bytes(stripes, halo, layers):
    graph = chain(image(8, 16), *[{"kernels": 8, "taps": 3}] * (layers + 1))
    chosen = Choice(depth_first=True, stripes=stripes, halo=halo)
    found = [metrics_of(graph, chosen, settings=placed_by(policy)) for policy in POLICIES]
    assert len({each["peak_live_bytes"] for each in found}) == 1
    assert all(each["ram_bytes"] >= each["peak_live_bytes"] for each in found)
