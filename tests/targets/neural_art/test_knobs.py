"""What may be chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_graphs import DIMC, STM32N6, chain, image, run, with_pools, with_units

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.work import shape_of
from npu_tune.targets.neural_art.graph import OperationKind
from npu_tune.targets.neural_art.knobs import (
    default_accelerators,
    joined_by_default,
    layer_knobs,
    network_knobs,
)


def knobs_of(graph, *hardware, four_bit_weights=False, external_ram=True):
    """Per layer, knobs by name."""
    found = layer_knobs(
        graph,
        hardware or (STM32N6,),
        four_bit_weights=four_bit_weights,
        external_ram=external_ram,
        chained=[False] * len(graph.operations),
    )
    return [{knob.name: knob for knob in knobs} for knobs in found]


def default_of(channels: int, kernels: int, rows: int, taps: int = 1, hardware=STM32N6) -> int:
    graph = chain(image(channels, rows), {"kernels": kernels, "taps": taps})
    return default_accelerators(shape_of(graph.operations[0], graph), hardware)


def test_a_convolution_has_every_knob():
    (knobs, _) = knobs_of(chain(image(32, 8), {"kernels": 32, "taps": 3}, {"kernels": 8}))
    assert list(knobs) == [
        "accelerators",
        "parallel_over",
        "parts",
        "parts_over",
        "stationarity",
        "weight_compression",
        "weights",
        "weights_pool",
        "chain",
        "depth_first",
        "stripes",
        "halo",
        "output_pool",
    ]
    assert knobs["weights"].values == ("stream", "preload", "resident")
    assert knobs["accelerators"].values == (1, 2, 3, 4)
    assert knobs["parts"].values == (1, 2, 4, 8)
    assert knobs["accelerators"].ordered
    assert knobs["parts"].ordered


def test_nothing_is_offered_that_cannot_be_cut():
    (knobs,) = knobs_of(chain(image(40, 1), {"kernels": 1}))
    assert knobs["parts_over"].values == ("kernels", "input_channels")
    (knobs,) = knobs_of(chain(image(1, 1), {"kernels": 3}))
    assert knobs["accelerators"].values == (1, 2, 3)
    assert knobs["parts"].values == (1, 2)
    assert "stripes" not in knobs["parallel_over"].values


def test_input_channels_of_a_depthwise_layer_are_not_shared():
    (knobs,) = knobs_of(chain(image(32, 8), {"kernels": 1, "taps": 3, "depthwise": True}))
    assert knobs["parts_over"].values == ("kernels", "stripes")
    assert knobs["accelerators"].default == 1


def test_the_last_layer_has_none_to_be_joined_with():
    first, last = knobs_of(chain(image(8, 8), {"kernels": 8}, {"kernels": 8}))
    assert "chain" in first
    assert "chain" not in last


def test_layers_go_on_depth_first_where_some_segment_goes_past_them():
    graph = chain(image(8, 16), *[{"kernels": 8, "taps": 3}] * 3)
    first, second, last = knobs_of(graph)
    assert [k["depth_first"].default for k in (first, second)] == [False, False]
    assert "depth_first" not in last
    assert {"stripes", "halo"} <= first.keys() & second.keys()
    assert (first["halo"].values, first["halo"].default) == (("keep", "recompute"), "keep")


@pytest.mark.parametrize(("rows", "numbers"), [(2, (2,)), (9, (2, 4, 8)), (64, (2, 4, 8, 16, 32))])
def test_as_many_stripes_are_offered_as_there_are_rows(rows, numbers):
    first, _ = knobs_of(chain(image(8, rows), {"kernels": 8}, {"kernels": 8}))
    assert first["stripes"].values == numbers
    assert first["stripes"].default == 2


def test_layers_without_rows_or_on_the_cpu_are_in_no_segment():
    names = {"depth_first", "stripes", "halo"}
    assert not names & set().union(*knobs_of(chain(image(8, 1), {"kernels": 8}, {"kernels": 8})))
    graph = chain(image(8, 8), *[{"kernels": 8}] * 3)
    second = replace(graph.operations[1], kind=OperationKind.SOFTWARE)
    graph = replace(graph, operations=(graph.operations[0], second, graph.operations[2]))
    assert not names & set().union(*knobs_of(graph))


def test_no_layer_goes_on_where_a_map_would_be_left_open():
    graph = chain(image(8, 8), *[{"kernels": 8}] * 3)
    last = replace(graph.operations[2], kind=OperationKind.SOFTWARE, inputs=("a.out", "b.out"))
    graph = replace(graph, operations=(*graph.operations[:2], last))
    assert not any("depth_first" in knobs for knobs in knobs_of(graph))


def test_weights_may_be_in_any_kind_of_ram():
    graph = chain(image(8, 8), {"kernels": 8})
    (knobs,) = knobs_of(graph)
    assert knobs["weights_pool"].values == ("auto", "npu", "cpu", "external")
    (knobs,) = knobs_of(graph, external_ram=False)
    assert knobs["weights_pool"].values == ("auto", "npu", "cpu")
    (knobs,) = knobs_of(graph, with_pools(1 << 20), external_ram=False)
    assert "weights_pool" not in knobs


def test_weights_of_four_bits_are_offered_where_they_are_asked_for():
    graph = chain(image(8, 8), {"kernels": 8})
    assert "weight_bits" not in knobs_of(graph)[0]
    (knobs,) = knobs_of(graph, four_bit_weights=True)
    assert knobs["weight_bits"].values == (8, 4)
    assert knobs["weight_bits"].default == 8


def test_tiles_are_offered_where_some_hardware_has_them_and_not_to_depthwise_layers():
    graph = chain(image(8, 8), {"kernels": 8}, {"kernels": 1, "taps": 3, "depthwise": True})
    tiles = {"unit", "dimc_residency", "dimc_copies"}
    assert not tiles & knobs_of(graph)[0].keys()
    dense, depthwise = knobs_of(graph, STM32N6, DIMC)
    assert tiles <= dense.keys()
    assert not tiles & depthwise.keys()
    assert dense["unit"].default == "accelerator"


def test_one_accelerator_leaves_nothing_to_share():
    single = with_units(STM32N6, accelerators=1)
    (knobs,) = knobs_of(chain(image(32, 8), {"kernels": 32}), single)
    assert not {"accelerators", "parallel_over"} & knobs.keys()


def test_as_many_accelerators_are_offered_as_the_largest_hardware_has():
    graph = chain(image(32, 8), {"kernels": 32})
    (knobs,) = knobs_of(graph, STM32N6, with_units(STM32N6, accelerators=6))
    assert knobs["accelerators"].values == (1, 2, 3, 4, 5, 6)
    assert knobs["accelerators"].default <= 4


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ((48, 16, 32), 1),
        ((80, 16, 32), 4),
        ((96, 16, 16), 4),
        ((152, 32, 8), 2),
        ((16, 96, 16), 1),
        ((96, 96, 16, 3), 1),
    ],
)
def test_the_default_number_of_accelerators_is_the_vendors(case, expected):
    assert default_of(*case) == expected


def test_no_more_accelerators_are_taken_by_default_than_there_are():
    two = with_units(STM32N6, accelerators=2)
    assert default_of(80, 16, 32, hardware=two) <= 2


def test_a_second_convolution_is_not_joined_by_default():
    graph = chain(image(8, 8), {"kernels": 8}, {"kernels": 8})
    assert not joined_by_default(graph, 0)
    assert not joined_by_default(graph, 1)
    assert len(run(graph).steps) == 2


def test_knobs_of_the_network_come_first_and_are_few():
    graph = chain(image(8, 8), {"kernels": 8})
    assert [k.name for k in network_knobs(graph)] == [
        "placement",
        "virtual_pools",
        "split_threshold",
    ]
    space = load_target("neural-art-stm32n6", {}).bind(zoo_network("resnet8")).space
    assert space.layers[0] == "network"
    assert space.by_name["network/epoch_order"].values == ("file", "memory")


def test_a_layer_on_the_cpu_has_no_knobs():
    network = zoo_network("resnet8")
    with load_target("neural-art-stm32n6", {}).bind(network) as problem:
        rows = problem.evaluate(problem.space.default).profile
        (last,) = set(rows) - set(problem.space.layers)
    assert rows[last]["macs"] == 0


def test_every_knob_says_what_it_does():
    target = load_target("neural-art-dimc", {"four_bit_weights": True})
    for knob in target.bind(zoo_network("mobilenet-v2-0.35-96")).space.knobs:
        assert knob.description
