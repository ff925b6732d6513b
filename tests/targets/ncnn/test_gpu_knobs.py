from __future__ import annotations

import pytest
from ncnn_cases import NcnnCase, convolutions, network_of

from npu_tune.targets.ncnn.gpu_knobs import GpuChoices
from npu_tune.targets.ncnn.plan import CHAINED, FLOAT, INT8, NO_FP16_ARITHMETIC, NO_VULKAN
from npu_tune.testing.configurations import some_configurations


@pytest.fixture(scope="module")
def choices():
    return GpuChoices(NcnnCase(convolutions()).program, (1,))


@pytest.fixture(scope="module")
def space(choices):
    return choices.space


def effective_changes(space, changes):
    return space.effective(space.configuration(changes)).difference(space.default)


def test_a_layer_has_a_device_and_a_precision(space):
    assert space.by_name["c1/device"].values == ("gpu", "cpu")
    assert space.by_name["c1/precision"].values == (FLOAT, INT8)
    assert space.by_name["c3/precision"].values == (FLOAT, INT8, CHAINED)


def test_a_grouped_convolution_has_a_device_alone():
    case = NcnnCase(network_of("y = Conv<group=2>(x, w)", {"w": (40, 3, 3, 3)}))
    (name,) = case.program.products
    offered = set(GpuChoices(case.program, (1,)).space.by_name)
    assert f"{name}/device" in offered
    assert f"{name}/precision" not in offered


def test_winograd_is_offered_where_some_layer_may_use_it(space):
    assert "network/winograd" not in space.by_name  # three channels are too few
    case = NcnnCase(
        network_of("y = Conv(x, w)", {"w": (16, 16, 3, 3)}, inputs="float[1,16,8,8] x")
    )
    assert "network/winograd" in GpuChoices(case.program, (1,)).space.by_name


def test_an_effective_configuration_is_its_own_effective_one(space):
    for configuration in some_configurations(space, 60):
        effective = space.effective(configuration)
        assert space.effective(effective) == effective


def test_a_device_becomes_a_mask(choices):
    plan = choices.plan(choices.space.configuration({"c1/device": "cpu"}))
    assert plan.masks["c1"] == NO_VULKAN
    assert plan.masks["c2"] == 0


def test_no_chain_reaches_from_one_device_to_the_other(space):
    chain = {"c2/precision": CHAINED, "c3/precision": INT8}
    assert effective_changes(space, chain) == chain
    apart = effective_changes(space, chain | {"c3/device": "cpu"})
    assert apart["c2/precision"] == INT8


def test_arithmetic_of_a_layer_counts_where_the_network_computes_in_fp16(choices):
    space = choices.space
    layer = {"c1/fp16_arithmetic": False}
    assert effective_changes(space, layer) == {}
    assert effective_changes(space, layer | {"network/fp16": "storage"}) == {
        "network/fp16": "storage"
    }
    both = layer | {"network/fp16": "arithmetic"}
    assert effective_changes(space, both) == both
    assert choices.plan(space.configuration(both)).masks["c1"] == NO_FP16_ARITHMETIC
    on_cpu = effective_changes(space, both | {"c1/device": "cpu"})
    assert "c1/fp16_arithmetic" not in on_cpu


def test_patches_are_idle_where_every_convolution_with_them_is_on_the_cpu(space):
    assert effective_changes(space, {"network/sgemm": False}) == {"network/sgemm": False}
    moved = {"c1/device": "cpu", "c5/device": "cpu"}
    assert effective_changes(space, {"network/sgemm": False} | moved) == moved


def test_packing_and_bf16_are_not_offered(space):
    assert "network/packing" not in space.by_name
    assert "bf16" not in {value for knob in space.knobs for value in knob.values}
