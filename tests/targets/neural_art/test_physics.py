"""Choices and hardware do what they do in a chip."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_graphs import (
    DIMC,
    SETTINGS,
    STM32N6,
    chain,
    choices,
    image,
    metrics_of,
    run,
    with_pools,
    with_units,
)

from npu_tune.errors import CompilerError
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.rule import VENDOR, CostRule, cost_rule, memories_of
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.graph import Operation, OperationKind

OVERS = ("input_channels", "kernels", "stripes")
COMPUTE_ONLY = CostRule(0.0, 0.0, 0.0, 1.0)
"""Flash costs nothing, so that layers with work wait for the units."""

sizes = st.integers(1, 200)


@st.composite
def layers(draw):
    """A convolution of any size."""
    source = image(draw(sizes), draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    return chain(
        source,
        {
            "kernels": draw(sizes),
            "taps": draw(st.sampled_from((1, 3, 5))),
            "stride": draw(st.sampled_from((1, 2))),
            "depthwise": draw(st.booleans()),
        },
    )


def step(graph, choice=None, **how):
    """The only epoch of a graph."""
    (found,) = run(graph, choice, **how).steps
    return found


# Accelerators and the clock ---------------------------------------------------------------


@pytest.mark.parametrize("over", OVERS)
@given(graph=layers())
@settings(max_examples=60, deadline=None)
def test_more_accelerators_never_take_more_compute_cycles(over, graph):
    hardware = with_units(STM32N6, accelerators=6)
    cycles = [
        step(
            graph, Choice(accelerators=number, parallel_over=over), hardware=hardware
        ).costs.compute_cycles
        for number in range(1, 7)
    ]
    assert all(more <= fewer for fewer, more in pairwise(cycles))


@pytest.mark.parametrize("over", OVERS)
def test_accelerators_speed_a_layer_up_that_waits_for_them(over):
    graph = chain(image(128, 32), {"kernels": 128, "taps": 3})
    cycles = [
        step(graph, Choice(accelerators=number, parallel_over=over), rule=COMPUTE_ONLY).cycles
        for number in (1, 2, 4)
    ]
    assert cycles[1] == pytest.approx(cycles[0] / 2)
    assert cycles[2] <= cycles[1]


def test_a_chain_of_accelerators_passes_no_more_than_144_products_per_cycle():
    graph = chain(image(256, 16), {"kernels": 96})
    found = step(graph, Choice(accelerators=4), rule=VENDOR)
    assert graph.operations[0].macs / found.costs.compute_cycles == pytest.approx(144)
    beside = step(graph, Choice(accelerators=4, parallel_over="kernels"), rule=VENDOR)
    assert beside.costs.compute_cycles < found.costs.compute_cycles


@pytest.mark.parametrize("rule", ["calibrated", "vendor"])
@pytest.mark.parametrize("name", ["resnet8", "mobilenet-v2-0.35-96"])
def test_a_faster_clock_never_takes_longer(name, rule):
    network, latencies = zoo_network(name), []
    for clock in (200, 400, 800, 1000, 1600):
        target = load_target(
            "neural-art-stm32n6", {"rule": rule, "hardware": {"clock_mhz": clock}}
        )
        with target.bind(network) as problem:
            evaluation = problem.evaluate(problem.space.default)
        latencies.append(evaluation.metrics["latency_ms"])
    assert all(faster <= slower + 1e-9 for slower, faster in pairwise(latencies))
    assert latencies[-1] < latencies[0]


def test_fewer_accelerators_never_lower_the_latency_of_a_network():
    network, latencies = zoo_network("mobilenet-v2-0.35-96"), []
    for number in (1, 2, 4):
        target = load_target("neural-art-stm32n6", {"hardware": {"accelerators": number}})
        with target.bind(network) as problem:
            evaluation = problem.evaluate(problem.space.default)
        latencies.append(evaluation.metrics["latency_ms"])
    assert all(more <= fewer for fewer, more in pairwise(latencies))


# Memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["calibrated", "vendor"])
@pytest.mark.parametrize(
    "graph",
    [
        chain(image(16, 16), {"kernels": 16, "depthwise": True, "taps": 3}, {"kernels": 64}),
        chain(image(3, 24), {"kernels": 8, "taps": 3, "stride": 2}, {"kernels": 32}),
        chain(image(8, 16), {"kernels": 32}, {"kernels": 8}, {"kernels": 16, "stride": 2}),
    ],
    ids=["depthwise", "image", "chain"],
)
def test_smaller_pools_never_lower_the_best_latency(graph, rule):
    offered = [
        Choice(accelerators=number, chain=joined, weights=weights)
        for number, joined, weights in product((1, 4), (False, True), ("stream", "preload"))
    ]
    largest = max(m.size_bytes for m in graph.maps.values())
    best = []
    for scale in (0.3, 0.5, 0.75, 1.0, 1.5, 3.0):
        hardware = with_pools(*[int(largest * scale) // 16 * 16] * 3, external=1 << 24)
        latencies = []
        for placement, virtual in product(("ping_pong", "first_fit", "by_size"), (False, True)):
            scheduler = Scheduler(
                graph,
                hardware,
                cost_rule(rule, hardware),
                replace(SETTINGS, placement=placement, virtual_pools=virtual),
            )
            for combination in product(offered, repeat=len(graph.operations)):
                found = scheduler.run(scheduler.resolve(combination))
                latencies.append(evaluation_of(found, hardware).metrics["latency_ms"])
        best.append(min(latencies))
    assert all(larger <= smaller + 1e-12 for smaller, larger in pairwise(best))


def test_ram_outside_the_chip_is_slower_and_costs_more_energy():
    graph = chain(image(64, 32), {"kernels": 64, "depthwise": True, "taps": 3})
    inside = metrics_of(graph, rule=VENDOR)
    outside = metrics_of(graph, rule=VENDOR, hardware=with_pools(1024, external=1 << 20))
    assert outside["external_ram_bytes"] > 0
    assert outside["latency_ms"] > inside["latency_ms"]
    assert outside["energy"] > inside["energy"]


def test_a_pool_of_slower_memory_slows_a_layer_that_waits_for_it():
    graph = chain(image(64, 32), {"kernels": 64, "depthwise": True, "taps": 3})
    near = metrics_of(graph, Choice(output_pool="npu"), rule=VENDOR)
    far = metrics_of(graph, Choice(output_pool="cpu"), rule=VENDOR)
    assert far["latency_ms"] > near["latency_ms"]


def test_a_layer_split_over_pools_fits_where_one_pool_is_too_small():
    graph = chain(image(8, 16), {"kernels": 24})
    small = with_pools(4096, 4096, 4096)
    assert metrics_of(graph, hardware=small)["ram_bytes"] == 8192
    with pytest.raises(CompilerError):
        run(graph, hardware=small, settings=replace(SETTINGS, virtual_pools=False))


# Weights ----------------------------------------------------------------------------------

HEAVY = chain(image(32, 16), {"kernels": 64, "taps": 3}, {"kernels": 256, "taps": 3})
"""The second layer's weights take longer than its products, the first has time to spare."""


def test_preloaded_weights_take_ram():
    streamed = metrics_of(HEAVY)
    preloaded = metrics_of(HEAVY, [Choice(), Choice(weights="preload")])
    assert preloaded["peak_live_bytes"] > streamed["peak_live_bytes"]
    assert preloaded["traffic_flash_bytes"] == streamed["traffic_flash_bytes"]
    assert preloaded["flash_bytes"] == streamed["flash_bytes"]


@given(graph=layers(), chosen=choices)
@settings(max_examples=80, deadline=None)
def test_preloading_never_lowers_live_bytes(graph, chosen):
    plain = metrics_of(graph, chosen._replace(weights="stream"))
    early = metrics_of(graph, chosen._replace(weights="preload"))
    assert early["peak_live_bytes"] >= plain["peak_live_bytes"]


def test_preloading_speeds_up_a_layer_that_waits_for_flash_behind_one_that_does_not():
    graph = chain(image(64, 32), {"kernels": 64, "taps": 3}, {"kernels": 256, "stride": 2})
    rule = CostRule(8.0, 0.0, 0.0, 1.0)
    streamed = run(graph, rule=rule)
    assert streamed.steps[0].costs.slack > streamed.steps[1].costs.flash_cycles
    assert streamed.steps[1].costs.flash_cycles > streamed.steps[1].costs.compute_cycles
    preloaded = metrics_of(graph, [Choice(), Choice(weights="preload")], rule=rule)
    assert preloaded["cycles"] < metrics_of(graph, rule=rule)["cycles"]


@given(layers(), st.integers(1, 64), st.sampled_from((0.1, 1.0, 6.0)))
@settings(max_examples=80, deadline=None)
def test_preloading_into_idle_flash_never_slows_a_layer_that_does_not_wait_for_ram(
    layer, kernels, rate
):
    graph = chain(layer.maps["in"], {"kernels": 64}, {"kernels": kernels, "taps": 3})
    rule = CostRule(rate, 0.0, 0.0, 1.0)
    early = run(graph, [Choice(), Choice(weights="preload")], rule=rule)
    first, second = early.steps
    assume(
        second.costs.preloading <= first.costs.slack
        and second.costs.ram_cycles <= second.costs.compute_cycles
    )
    assert early.waits == (0.0, 0.0)
    late = run(graph, rule=rule)
    assert sum(s.cycles for s in early.steps) <= sum(s.cycles for s in late.steps)


def test_an_epoch_waits_for_preloaded_weights_that_flash_could_not_bring_in_time():
    found = run(HEAVY, [Choice(), Choice(weights="preload")], rule=CostRule(6.0, 0.0, 0.0, 1.0))
    first, second = found.steps
    assert second.costs.preloading > first.costs.slack
    assert found.waits == (0.0, second.costs.preloading - first.costs.slack)


def test_weights_that_find_no_room_are_streamed_after_all():
    small = with_pools(sum(m.size_bytes for m in HEAVY.maps.values()))
    preloaded = metrics_of(HEAVY, [Choice(), Choice(weights="preload")], hardware=small)
    assert preloaded == metrics_of(HEAVY, hardware=small)


@given(graph=layers(), chosen=choices)
@settings(max_examples=80, deadline=None)
def test_weights_of_four_bits_halve_the_traffic_of_flash(graph, chosen):
    # Resident weights come from flash only where they find no room, which half of them may.
    weights = "stream" if chosen.weights == "resident" else chosen.weights
    plain = chosen._replace(weight_compression=False, stationarity="feature", weights=weights)
    eight = metrics_of(graph, plain._replace(weight_bits=8))
    four = metrics_of(graph, plain._replace(weight_bits=4))
    traffic = eight["traffic_flash_bytes"]
    assert four["traffic_flash_bytes"] == pytest.approx(traffic / 2, rel=0.2, abs=64)
    assert four["flash_bytes"] <= eight["flash_bytes"]


@given(layers(), choices, st.floats(0.0, 8.0))
@settings(max_examples=80, deadline=None)
def test_compression_never_stores_more(graph, chosen, entropy_bits):
    operation = graph.operations[0]
    weights = replace(operation.weights, entropy_bits=entropy_bits)
    graph = replace(graph, operations=(replace(operation, weights=weights),))
    plain = metrics_of(graph, chosen._replace(weight_compression=False))
    packed = metrics_of(graph, chosen._replace(weight_compression=True))
    assert packed["flash_bytes"] <= plain["flash_bytes"]
    assert packed["traffic_flash_bytes"] <= plain["traffic_flash_bytes"]


def test_weights_of_low_entropy_are_stored_in_few_bytes():
    graph = chain(image(64, 8), {"kernels": 256, "entropy_bits": 2.0})
    plain = metrics_of(graph)["flash_bytes"]
    assert metrics_of(graph, Choice(weight_compression=True))["flash_bytes"] < 0.35 * plain


def test_units_that_unpack_weights_limit_how_fast_they_arrive():
    graph = chain(image(512, 1), {"kernels": 512, "entropy_bits": 0.0})
    found = step(graph, Choice(weight_compression=True), rule=COMPUTE_ONLY)
    assert found.costs.compute_cycles >= 512 * 512


def test_resident_weights_take_ram_and_no_flash_traffic():
    wide = Choice(accelerators=4)
    streamed = metrics_of(HEAVY, wide)
    resident = metrics_of(HEAVY, wide._replace(weights="resident"))
    weights = sum(operation.weights.elements for operation in HEAVY.operations)
    assert streamed["traffic_flash_bytes"] == weights
    assert resident["traffic_flash_bytes"] == 0
    assert resident["peak_live_bytes"] == streamed["peak_live_bytes"] + weights
    assert resident["flash_bytes"] == streamed["flash_bytes"]
    assert resident["traffic_ram_bytes"] == streamed["traffic_ram_bytes"] + weights
    assert resident["cycles"] < streamed["cycles"]


@given(graph=layers(), chosen=choices)
@settings(max_examples=80, deadline=None)
def test_resident_weights_never_slow_a_layer_down_that_waits_for_flash_or_its_units(graph, chosen):
    chosen = chosen._replace(unit="accelerator", weights_pool="npu")
    streamed = step(graph, chosen._replace(weights="stream"))
    resident = step(graph, chosen._replace(weights="resident"))
    assume(resident.costs.ram_cycles <= streamed.cycles - STM32N6.calibration.epoch_cycles)
    assert resident.cycles <= streamed.cycles + 1e-6


def test_resident_weights_are_slower_in_external_ram():
    graph = chain(image(512, 2), {"kernels": 512})
    near, far = (
        metrics_of(graph, Choice(weights="resident", weights_pool=kind), rule=VENDOR)
        for kind in ("npu", "external")
    )
    assert near["cycles"] < far["cycles"] < metrics_of(graph, rule=VENDOR)["cycles"]
    assert near["energy"] < far["energy"]
    assert far["external_ram_bytes"] == far["traffic_external_bytes"] == 512 * 512


def test_compressed_weights_take_less_ram_for_good():
    graph = chain(image(64, 8), {"kernels": 256, "entropy_bits": 2.0})
    kept = Choice(weights="resident")
    plain, packed = (
        metrics_of(graph, kept),
        metrics_of(graph, kept._replace(weight_compression=True)),
    )
    saved = plain["peak_live_bytes"] - packed["peak_live_bytes"]
    assert saved > 0.65 * 64 * 256


def test_a_network_whose_weights_have_room_is_faster_with_them_there():
    with load_target("neural-art-stm32n6").bind(zoo_network("mobilenet-v2-0.35-96")) as problem:
        space = problem.space
        kept = {k.full_name: "resident" for k in space.knobs if k.name == "weights"}
        streamed = problem.evaluate(space.default).metrics
        resident = problem.evaluate(space.effective(space.configuration(kept))).metrics
    assert resident["traffic_flash_bytes"] < 0.01 * streamed["traffic_flash_bytes"]
    assert resident["latency_ms"] < streamed["latency_ms"]
    assert resident["ram_bytes"] > streamed["ram_bytes"]


# Depth-first segments ---------------------------------------------------------------------

DEEP = Choice(depth_first=True, stripes=4)
WIDE = chain(
    image(8, 32),
    {"kernels": 48},
    {"kernels": 48, "taps": 3, "depthwise": True},
    {"kernels": 8},
)
"""An inverted residual: the maps between are six times as large as its ends."""


def in_stripes(halo: str, graph=WIDE, **changes) -> list[dict]:
    """Metrics with 2, 4, 8 and so on stripes."""
    chosen = DEEP._replace(halo=halo, **changes)
    return [metrics_of(graph, chosen._replace(stripes=number)) for number in (2, 4, 8, 16, 32)]


@pytest.mark.parametrize("halo", ["keep", "recompute"])
def test_more_stripes_need_less_memory_and_more_time(halo):
    whole, cut = metrics_of(WIDE), in_stripes(halo)
    for fewer, more in pairwise([whole, *cut]):
        assert more["peak_live_bytes"] < fewer["peak_live_bytes"]
        assert more["cycles"] > fewer["cycles"]
        assert more["traffic_flash_bytes"] > fewer["traffic_flash_bytes"]


@pytest.mark.parametrize("halo", ["keep", "recompute"])
def test_stripes_of_a_segment_stream_weights_again_unless_these_are_in_ram(halo):
    whole = metrics_of(WIDE)["traffic_flash_bytes"]
    streamed = in_stripes(halo)
    assert [m["traffic_flash_bytes"] / whole for m in streamed] == [2, 4, 8, 16, 32]
    preloaded = in_stripes(halo, weights="preload")
    assert {m["traffic_flash_bytes"] for m in preloaded} == {whole}
    resident = in_stripes(halo, weights="resident")
    assert {m["traffic_flash_bytes"] for m in resident} == {0}
    assert len({m["flash_bytes"] for m in (*streamed, *preloaded, *resident)}) == 1


def test_epochs_are_counted_for_every_stripe():
    assert [m["hardware_epochs"] for m in in_stripes("keep")] == [6, 12, 24, 48, 96]
    # A slice and the three layers for each stripe, and what puts the stripes together.
    assert [m["hardware_epochs"] for m in in_stripes("recompute")] == [9, 17, 33, 65, 129]


def test_fixed_costs_count_for_every_stripe():
    rule = CostRule(0.0, 1e9, 0.0, 0.0)
    for stripes in (2, 8, 32):
        (found,) = run(WIDE, DEEP._replace(stripes=stripes), rule=rule).steps
        assert found.cycles == pytest.approx(3 * stripes * 1e9, rel=1e-3)


def test_kept_rows_are_computed_once_and_read_again():
    whole, kept = metrics_of(WIDE), metrics_of(WIDE, DEEP)
    between = WIDE.maps["a.out"]
    again = 3 * 2 * between.width * between.channels
    assert kept["traffic_ram_bytes"] - whole["traffic_ram_bytes"] == pytest.approx(again)
    (found,) = run(WIDE, DEEP).steps
    assert found.epoch.total.macs == sum(operation.macs for operation in WIDE.operations)


def test_recomputing_costs_more_products_reads_and_energy_than_keeping():
    (kept,), (again,) = (
        run(WIDE, DEEP._replace(halo=halo)).steps for halo in ("keep", "recompute")
    )
    assert again.epoch.total.macs > kept.epoch.total.macs
    assert again.costs.compute_cycles > kept.costs.compute_cycles
    assert again.costs.ram_bytes > kept.costs.ram_bytes
    assert again.costs.energy > kept.costs.energy
    # The rows on both sides of three cuts are expanded again.
    extra = 3 * 2 / 32 * WIDE.operations[0].macs
    assert again.epoch.total.macs - kept.epoch.total.macs == pytest.approx(extra)


def test_a_segment_without_windows_reads_nothing_again():
    graph = chain(image(8, 32), {"kernels": 48}, {"kernels": 8})
    whole = metrics_of(graph)["traffic_ram_bytes"]
    assert metrics_of(graph, DEEP)["traffic_ram_bytes"] == whole
    # What is cut out and put together again is copied.
    copied = 2 * graph.maps["in"].size_bytes + 2 * graph.maps["b.out"].size_bytes
    again = metrics_of(graph, DEEP._replace(halo="recompute"))
    assert again["traffic_ram_bytes"] == whole + copied


@pytest.mark.parametrize("halo", ["keep", "recompute"])
def test_kernels_are_loaded_again_for_every_stripe(halo):
    graph = chain(image(512, 8, 1), {"kernels": 512}, {"kernels": 512})
    loading = 512 * 512 / 3
    for stripes in (2, 4, 8):
        chosen = DEEP._replace(stripes=stripes, halo=halo)
        (found,) = run(graph, chosen, rule=COMPUTE_ONLY).steps
        assert found.costs.compute_cycles == pytest.approx(2 * stripes * loading)


def test_kernels_are_loaded_again_for_parts_over_stripes_and_not_for_others():
    graph = chain(image(512, 8, 1), {"kernels": 512})
    whole = step(graph, rule=COMPUTE_ONLY).costs.compute_cycles
    cycles = {
        over: step(graph, Choice(parts=4, parts_over=over), rule=COMPUTE_ONLY).costs.compute_cycles
        for over in OVERS
    }
    assert cycles["stripes"] == pytest.approx(4 * whole)
    assert cycles["kernels"] == cycles["input_channels"] == whole


def test_accelerators_that_share_the_rows_of_a_stripe_stand_idle_where_these_do_not_go_round():
    graph = chain(image(8, 12, 64), {"kernels": 64, "taps": 3}, {"kernels": 64, "taps": 3})
    shared = DEEP._replace(accelerators=2, parallel_over="stripes", stripes=4)
    alone = run(graph, DEEP, rule=COMPUTE_ONLY).steps[0].costs.compute_cycles
    # Of the three rows of a stripe one computes two.
    (found,) = run(graph, shared, rule=COMPUTE_ONLY).steps
    assert found.costs.compute_cycles == pytest.approx(alone * 2 / 3)


@pytest.mark.parametrize("rule", ["calibrated", "vendor"])
def test_a_segment_never_takes_less_time_than_its_operations_by_themselves(rule):
    whole = metrics_of(WIDE, rule=rule)["cycles"]
    for halo, stripes in product(("keep", "recompute"), (2, 4, 8, 16, 32)):
        cut = metrics_of(WIDE, DEEP._replace(stripes=stripes, halo=halo), rule=rule)
        assert cut["cycles"] >= whole - 1e-6


def test_a_segment_keeps_a_large_map_on_the_chip():
    graph = chain(
        image(3, 64), {"kernels": 64, "taps": 3}, {"kernels": 16, "taps": 3, "stride": 2}
    )
    hardware = with_pools(64 * 1024, external=1 << 24)
    whole = metrics_of(graph, hardware=hardware)
    cut = metrics_of(graph, DEEP._replace(stripes=16), hardware=hardware)
    assert whole["external_ram_bytes"] > 0
    assert cut["external_ram_bytes"] == cut["traffic_external_bytes"] == 0


# Epochs -----------------------------------------------------------------------------------


def test_a_map_between_joined_layers_is_not_in_memory():
    graph = chain(image(16, 16), {"kernels": 96}, {"kernels": 16})
    apart = metrics_of(graph)
    joined = run(graph, [Choice(chain=True), Choice()])
    assert len(joined.steps) == 1
    assert "a.out" not in {block.name for s in joined.steps for block in s.placement.placed}
    together = evaluation_of(joined, STM32N6).metrics
    between = graph.maps["a.out"].size_bytes
    assert apart["traffic_ram_bytes"] - together["traffic_ram_bytes"] == 2 * between
    assert together["peak_live_bytes"] < apart["peak_live_bytes"]
    assert together["hardware_epochs"] == apart["hardware_epochs"] - 1


def test_layers_are_joined_only_while_there_are_units_for_all():
    graph = chain(image(64, 8), {"kernels": 64}, {"kernels": 64})
    wide = [Choice(accelerators=3, chain=True), Choice(accelerators=2)]
    assert len(run(graph, wide).steps) == 2
    narrow = [Choice(accelerators=2, chain=True), Choice(accelerators=1)]
    assert len(run(graph, narrow).steps) == 1


def test_a_window_behind_another_layer_needs_its_rows_in_the_line_buffer():
    graph = chain(image(16, 16), {"kernels": 32}, {"kernels": 32, "taps": 3, "depthwise": True})
    joined = [Choice(chain=True), Choice()]
    rows = 2 * 16 * 32
    assert len(run(graph, joined, hardware=with_units(STM32N6, line_buffer_bytes=rows)).steps) == 1
    without = with_units(STM32N6, line_buffer_bytes=rows - 1)
    assert len(run(graph, joined, hardware=without).steps) == 2


@pytest.mark.parametrize("over", OVERS)
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_cutting_a_layer_into_parts_adds_epochs(over, parts):
    graph = chain(image(64, 16), {"kernels": 64, "taps": 3})
    choice = Choice(parts=parts, parts_over=over)
    cut = metrics_of(graph, choice)
    assert cut["hardware_epochs"] == parts
    assert (
        cut["cycles"]
        >= metrics_of(graph)["cycles"] + (parts - 1) * STM32N6.calibration.epoch_cycles
    )


def test_stripes_read_the_rows_around_them_again():
    graph = chain(image(16, 16), {"kernels": 16, "taps": 3})
    whole = metrics_of(graph)["traffic_ram_bytes"]
    cut = metrics_of(graph, Choice(parts=4, parts_over="stripes"))["traffic_ram_bytes"]
    assert cut - whole == pytest.approx(3 * 2 * 16 * 16)
    pointwise = chain(image(16, 16), {"kernels": 16})
    assert (
        metrics_of(pointwise, Choice(parts=4, parts_over="stripes"))["traffic_ram_bytes"]
        == metrics_of(pointwise)["traffic_ram_bytes"]
    )


def test_stripes_read_the_weights_again():
    graph = chain(image(16, 16), {"kernels": 16, "taps": 3})
    whole = metrics_of(graph)["traffic_flash_bytes"]
    cut = Choice(parts=4, parts_over="stripes")
    assert metrics_of(graph, cut)["traffic_flash_bytes"] == 4 * whole
    assert metrics_of(graph, cut._replace(weights="preload"))["traffic_flash_bytes"] == whole


def test_parts_of_the_kernels_read_the_map_again():
    graph = chain(image(16, 16), {"kernels": 16, "taps": 3})
    more = metrics_of(graph, Choice(parts=4))["traffic_ram_bytes"]
    assert more - metrics_of(graph)["traffic_ram_bytes"] == 3 * graph.maps["in"].size_bytes


def test_parts_of_the_input_channels_keep_partial_sums_in_ram():
    graph = chain(image(64, 16), {"kernels": 32})
    choice = Choice(parts=4, parts_over="input_channels")
    whole, cut = metrics_of(graph), metrics_of(graph, choice)
    sums = 4 * graph.maps["a.out"].elements
    assert cut["peak_live_bytes"] - whole["peak_live_bytes"] == sums
    assert cut["traffic_ram_bytes"] - whole["traffic_ram_bytes"] == 2 * 3 * sums


STEM = chain(image(3, 64), {"kernels": 32, "taps": 7, "stride": 2})
"""Its 147 taps are more than the 72 multipliers of an accelerator."""


def test_a_large_window_adds_its_parts_up_in_ram():
    whole = metrics_of(STEM)
    output = STEM.maps["a.out"].elements
    live = STEM.maps["in"].size_bytes + output + 4 * output + output
    assert whole["peak_live_bytes"] == live
    nine_rounds = 9 * STEM.maps["in"].size_bytes + output + 8 * 2 * 4 * output
    assert whole["traffic_ram_bytes"] == nine_rounds


@pytest.mark.parametrize("channels", [1, 8])
def test_a_window_that_the_multipliers_hold_at_once_needs_no_partial_sums(channels):
    taps = 7 if channels == 1 else 3
    graph = chain(image(channels, 32), {"kernels": 32, "taps": taps})
    maps = sum(m.size_bytes for m in graph.maps.values())
    assert metrics_of(graph)["peak_live_bytes"] == maps


def test_kernels_computed_one_after_the_other_share_the_room_for_sums():
    graph = chain(image(3, 64), {"kernels": 128, "taps": 7, "stride": 2})
    output = graph.maps["a.out"].elements
    maps = graph.maps["in"].size_bytes + output
    for parts, planes in ((1, 8), (2, 4), (4, 4)):
        found = metrics_of(graph, Choice(parts=parts))
        assert found["peak_live_bytes"] == maps + (planes + 1) * output // parts
        assert found["hardware_epochs"] == parts


@pytest.mark.parametrize("over", ["kernels", "stripes"])
def test_parts_of_a_large_window_move_as_many_partial_sums(over):
    moved = metrics_of(STEM)["traffic_ram_bytes"]
    cut = metrics_of(STEM, Choice(parts=2, parts_over=over))["traffic_ram_bytes"]
    assert cut >= moved


def test_partial_sums_outside_the_chip_cost_what_external_ram_takes():
    graph = chain(image(3, 224), {"kernels": 64, "taps": 7, "stride": 2})
    found = metrics_of(graph)
    output = graph.maps["a.out"].elements
    assert found["external_ram_bytes"] == 4 * output
    rate = STM32N6.external[0].cycles_per_byte
    assert found["cycles"] >= 8 * 2 * 4 * output * rate


def test_a_larger_depthwise_window_reads_its_input_again_for_every_part_of_it():
    def elementwise(taps):
        graph = chain(image(64, 32), {"kernels": 64, "taps": taps, "depthwise": True})
        return step(graph).costs.ram_cycles

    assert elementwise(5) == pytest.approx(4 * elementwise(3))
    assert elementwise(7) == pytest.approx(9 * elementwise(3))


@pytest.mark.parametrize("rule", ["calibrated", "vendor"])
def test_external_ram_moves_twice_the_bytes_of_flash_in_a_transfer(rule):
    timed = memories_of(rule, STM32N6)
    external = timed.external[0].cycles_per_byte
    if rule == VENDOR:
        assert timed == STM32N6
    else:
        assert external == pytest.approx(STM32N6.calibration.flash_cycles_per_byte / 2)
    assert timed.internal == STM32N6.internal


def test_external_ram_is_never_slower_than_its_description():
    slow_flash = replace(
        STM32N6, calibration=replace(STM32N6.calibration, flash_cycles_per_byte=40.0)
    )
    assert memories_of("calibrated", slow_flash).external == STM32N6.external


# What stays and what streams past ---------------------------------------------------------

BIG_WEIGHTS = chain(image(512, 4), {"kernels": 512})
BIG_MAP = chain(image(16, 64), {"kernels": 16})


def test_with_kernels_stationary_a_map_is_read_once_for_every_buffer_of_weights():
    found = metrics_of(BIG_WEIGHTS)
    times = 512 * 512 / (16 * 1024)
    maps = BIG_WEIGHTS.maps
    assert found["traffic_ram_bytes"] == times * maps["in"].size_bytes + maps["a.out"].size_bytes
    assert found["traffic_flash_bytes"] == 512 * 512


def test_with_features_stationary_weights_are_read_once_for_every_buffer_of_the_map():
    found = metrics_of(BIG_MAP, Choice(stationarity="feature"))
    times = BIG_MAP.maps["in"].size_bytes / (16 * 1024)
    assert found["traffic_flash_bytes"] == times * 16 * 16
    assert found["traffic_ram_bytes"] == sum(m.size_bytes for m in BIG_MAP.maps.values())


@pytest.mark.parametrize(
    ("graph", "better", "worse"),
    [(BIG_WEIGHTS, "feature", "kernel"), (BIG_MAP, "kernel", "feature")],
)
def test_the_larger_of_map_and_weights_is_better_streamed_past(graph, better, worse):
    def moved(what: str) -> float:
        found = metrics_of(graph, Choice(stationarity=what))
        return found["traffic_ram_bytes"] + found["traffic_flash_bytes"]

    assert moved(better) < moved(worse)


@given(graph=layers(), chosen=choices)
@settings(max_examples=60, deadline=None)
def test_larger_buffers_never_move_more(graph, chosen):
    small = with_units(STM32N6, kernel_buffer_bytes=2048, feature_buffer_bytes=2048)
    for traffic in ("traffic_ram_bytes", "traffic_flash_bytes"):
        moved = metrics_of(graph, chosen)[traffic]
        assert moved <= metrics_of(graph, chosen, hardware=small)[traffic]


# Computing in memory ----------------------------------------------------------------------

RESIDENT = Choice(unit="dimc")
RELOADED = Choice(unit="dimc", dimc_residency="reload")
ON_TILES = chain(image(128, 32), {"kernels": 128})
"""Two tiles' worth of weights, a thousand pixels."""

FEW_PIXELS = chain(image(128, 2), {"kernels": 128})


def test_tiles_win_where_weights_stay_in_them():
    tiles = metrics_of(ON_TILES, RESIDENT, hardware=DIMC)
    accelerators = [
        metrics_of(ON_TILES, Choice(accelerators=number), hardware=DIMC) for number in (1, 2, 4)
    ]
    assert all(tiles["cycles"] < other["cycles"] for other in accelerators)
    assert all(tiles["energy"] < other["energy"] for other in accelerators)
    assert tiles["traffic_flash_bytes"] == 0


def test_a_function_by_table_takes_its_time_behind_tiles_too():
    """Two units each look up an element and multiply by it in two cycles."""
    (layer,) = ON_TILES.operations
    looked_up = replace(ON_TILES, operations=(replace(layer, activation="lut"),))
    plain, longer = (
        step(graph, RESIDENT, hardware=DIMC).costs.compute_cycles
        for graph in (ON_TILES, looked_up)
    )
    elements = 128 * 32 * 32
    assert longer - plain == pytest.approx(elements * 2 / 2 * DIMC.calibration.compute_factor)


def test_tiles_lose_where_weights_are_reloaded_for_few_pixels():
    tiles = metrics_of(FEW_PIXELS, RELOADED, hardware=DIMC)
    assert tiles["cycles"] > metrics_of(FEW_PIXELS, hardware=DIMC)["cycles"]
    assert tiles["traffic_flash_bytes"] == 128 * 128
    assert tiles["cycles"] > metrics_of(FEW_PIXELS, RESIDENT, hardware=DIMC)["cycles"]


def test_copies_of_the_weights_share_the_pixels():
    cycles = [
        step(ON_TILES, RESIDENT._replace(dimc_copies=copies), hardware=DIMC).costs.compute_cycles
        for copies in (1, 2)
    ]
    assert cycles[1] == cycles[0] / 2


def test_tiles_are_given_out_in_order_until_none_is_left():
    graph = chain(image(128, 8), *[{"kernels": 128}] * 4)
    found = run(graph, RESIDENT, hardware=DIMC)
    chosen = [s.epoch.choices[0] for s in found.steps]
    # Each layer needs 4 of the 8 tiles; nothing is left for the last two to be reloaded into.
    assert [choice.unit for choice in chosen] == ["dimc", "dimc", "accelerator", "accelerator"]


def test_what_does_not_fit_any_more_is_reloaded_into_the_tiles_that_are_left():
    graph = chain(image(128, 8), *[{"kernels": 128}] * 3)
    found = run(graph, RESIDENT, hardware=replace(DIMC, dimc=replace(DIMC.dimc, tiles=9)))
    chosen = [s.epoch.choices[0] for s in found.steps]
    assert [choice.dimc_residency for choice in chosen] == ["resident", "resident", "reload"]
    assert found.steps[2].costs.flash_bytes == 128 * 128


@given(st.lists(choices, min_size=4, max_size=4), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_no_more_tiles_are_given_out_than_there_are(chosen, tiles):
    graph = chain(
        image(100, 8), {"kernels": 50}, {"kernels": 90}, {"kernels": 300}, {"kernels": 9}
    )
    hardware = replace(DIMC, dimc=replace(DIMC.dimc, tiles=tiles))
    found = run(graph, chosen, hardware=hardware)
    taken = 0
    for each in found.steps:
        choice, operation = each.epoch.choices[0], graph.operations[each.epoch.first]
        if choice.unit == "dimc" and choice.dimc_residency == "resident":
            channels = graph.maps[operation.inputs[0]].channels
            columns = hardware.dimc.columns * 8 // choice.weight_bits
            kernels = graph.maps[operation.output].channels
            rows = -(-channels // hardware.dimc.rows)
            taken += rows * -(-kernels // columns) * choice.dimc_copies
    assert taken <= tiles


# The rules --------------------------------------------------------------------------------


def test_under_the_vendors_rule_an_epoch_takes_as_long_as_its_slowest_part_and_no_more():
    network = zoo_network("mobilenet-v2-0.35-96")
    target = load_target("neural-art-stm32n6", {"rule": "vendor"})
    with target.bind(network) as problem:
        evaluation = problem.evaluate(problem.space.default)
    on_npu = [row for row in evaluation.profile.values() if row["macs"]]
    assert len(on_npu) > 40
    for row in on_npu:
        slowest = max(row["compute_cycles"], row["ram_cycles"], row["flash_cycles"])
        assert row["cycles"] <= slowest + 1e-6 or row["cycles"] == pytest.approx(slowest)


def test_the_calibrated_rule_adds_what_starting_an_epoch_costs():
    graph = chain(image(8, 8), {"kernels": 8})
    constants = STM32N6.calibration
    fitted = step(graph)
    slowest = max(fitted.costs.compute_cycles, fitted.costs.ram_cycles, fitted.costs.flash_cycles)
    assert fitted.cycles == pytest.approx(slowest + constants.epoch_cycles)
    assert step(graph, rule=VENDOR).costs.flash_cycles == 6 * 64
    assert fitted.costs.flash_cycles == pytest.approx(64 * constants.flash_cycles_per_byte)


def test_the_cpu_takes_its_cycles_per_element_in_its_own_clock():
    source = image(10, 4)
    out = replace(source, name="out")
    soft = Operation("softmax", "Softmax", OperationKind.SOFTWARE, ("in",), "out")
    graph = replace(
        chain(source, {"kernels": 1}), operations=(soft,), maps={"in": source, "out": out},
        outputs=("out",),
    )  # fmt: skip
    elements = 2 * source.elements
    assert step(graph, rule=VENDOR).cycles == pytest.approx(elements * 6 * 1000 / 800)
