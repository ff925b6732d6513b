from __future__ import annotations

import pytest
from ncnn_cases import NcnnCase, convolutions, network_of

from npu_tune.targets.ncnn import knobs
from npu_tune.targets.ncnn.knobs import CpuChoices
from npu_tune.targets.ncnn.plan import BF16, CHAINED, FLOAT, INT8, NO_SGEMM, NO_WINOGRAD
from npu_tune.testing.configurations import some_configurations


@pytest.fixture(scope="module")
def choices():
    return CpuChoices(NcnnCase(convolutions()).program, (1,))


@pytest.fixture(scope="module")
def space(choices):
    return choices.space


def effective_changes(space, **changes):
    named = {name.replace("__", "/"): value for name, value in changes.items()}
    return space.effective(space.configuration(named)).difference(space.default)


def test_ordinary_convolutions_may_be_all_precisions(space):
    assert space.by_name["c1/precision"].values == (FLOAT, BF16, INT8)
    assert space.by_name["c2/precision"].values == (FLOAT, BF16, INT8, CHAINED)


def test_a_depthwise_convolution_has_no_bf16_and_no_algorithm(space):
    assert space.by_name["c3/precision"].values == (FLOAT, INT8, CHAINED)
    assert not {"c3/winograd", "c3/sgemm"} & set(space.by_name)


def test_a_grouped_convolution_has_no_precision():
    case = NcnnCase(network_of("y = Conv<group=2>(x, w)", {"w": (40, 3, 3, 3)}))
    (name,) = case.program.products
    offered = CpuChoices(case.program, (1,)).space.by_name
    assert f"{name}/precision" not in offered
    assert {f"{name}/winograd", f"{name}/sgemm"} <= set(offered)


def test_winograd_is_for_windows_of_3_by_3_without_steps(space):
    assert [name for name in space.by_name if name.endswith("/winograd")] == ["c1/winograd"]


def test_a_classifier_has_a_precision_alone(space):
    assert {name for name in space.by_name if name.startswith("y/")} == {"y/precision", "y/range"}


def test_threads_are_a_choice_where_there_are_several(space):
    assert "network/threads" not in space.by_name
    two = CpuChoices(NcnnCase(convolutions()).program, (2, 1))
    assert two.space.by_name["network/threads"].values == (2, 1)
    assert two.options(two.space.default)["threads"] == 2


def test_fp16_is_offered_on_x86_where_something_stores_it(monkeypatch):
    monkeypatch.setattr(knobs.platform, "machine", lambda: "x86_64")
    case = NcnnCase(network_of("y = Conv(x, w)", {"w": (4, 6, 3, 3)}))
    assert "network/fp16" not in CpuChoices(case.program, (1,)).space.by_name
    with_classifier = CpuChoices(NcnnCase(convolutions()).program, (1,)).space
    assert with_classifier.by_name["network/fp16"].values == ("off", "storage")


def test_fp16_is_offered_with_arithmetic_on_arm(monkeypatch):
    monkeypatch.setattr(knobs.platform, "machine", lambda: "aarch64")
    case = NcnnCase(network_of("y = Conv(x, w)", {"w": (4, 6, 3, 3)}))
    offered = CpuChoices(case.program, (1,)).space
    assert offered.by_name["network/fp16"].values == ("off", "storage", "arithmetic")
    changed = offered.configuration({"network/fp16": "arithmetic"})
    assert offered.effective(changed) == changed


def test_an_effective_configuration_is_its_own_effective_one(space):
    for configuration in some_configurations(space, 60):
        effective = space.effective(configuration)
        assert space.effective(effective) == effective


def test_equal_effective_configurations_are_written_alike(choices):
    for configuration in some_configurations(choices.space, 60):
        effective = choices.space.effective(configuration)
        one, other = choices.plan(configuration), choices.plan(effective)
        assert one.precisions == other.precisions
        assert choices.options(effective).get("bf16") == choices.options(configuration).get("bf16")


def test_a_chain_that_does_not_hold_is_plain_int8(space):
    assert effective_changes(space, c2__precision=CHAINED) == {"c2/precision": INT8}
    both = {"c2/precision": CHAINED, "c3/precision": INT8}
    assert effective_changes(space, **{k.replace("/", "__"): v for k, v in both.items()}) == both


@pytest.mark.parametrize("precision", [FLOAT, BF16])
def test_a_range_of_what_is_not_in_int8_is_idle(space, precision):
    changes = effective_changes(space, c4__precision=precision, c4__range="mse")
    assert "c4/range" not in changes


def test_a_range_of_what_is_read_in_int8_counts(space):
    changes = effective_changes(space, c4__precision=INT8, c4__range="mse")
    assert changes == {"c4/precision": INT8, "c4/range": "mse"}


def test_the_range_of_a_second_reader_is_idle():
    nodes = "a = Conv(x, w) b = Conv(x, v) y = Add(a, b)"
    program = NcnnCase(network_of(nodes, {"w": (8, 6, 1, 1), "v": (8, 6, 1, 1)})).program
    space = CpuChoices(program, (1,)).space
    changes = {"a/precision": INT8, "b/precision": INT8, "b/range": "mse"}
    effective = space.effective(space.configuration(changes))
    assert effective["b/range"] == "minmax"
    alone = space.effective(space.configuration({"b/precision": INT8, "b/range": "mse"}))
    assert alone["b/range"] == "mse"


def test_patches_are_idle_where_winograd_is_used(space):
    assert effective_changes(space, c1__sgemm=False) == {}
    without = {"c1/winograd": False, "c1/sgemm": False}
    assert effective_changes(space, c1__winograd=False, c1__sgemm=False) == without


def test_patches_of_single_elements_count_in_int8_alone(space):
    assert effective_changes(space, c2__sgemm=False) == {}
    changed = {"c2/precision": INT8, "c2/sgemm": False}
    assert effective_changes(space, c2__precision=INT8, c2__sgemm=False) == changed


def test_fp16_is_idle_where_the_classifier_is_in_int8(space):
    assert effective_changes(space, network__fp16="storage") == {"network/fp16": "storage"}
    changes = effective_changes(space, network__fp16="storage", y__precision=INT8)
    assert changes == {"y/precision": INT8}


def test_algorithms_become_masks(choices):
    off = {"c1/winograd": False, "c1/sgemm": False, "c5/sgemm": False}
    masks = choices.plan(choices.space.configuration(off)).masks
    assert masks["c1"] == NO_WINOGRAD | NO_SGEMM
    assert masks["c5"] == NO_SGEMM
    assert masks["c2"] == 0


def test_bf16_switches_the_whole_network_to_it(choices):
    assert "bf16" not in choices.options(choices.space.default)
    some = choices.space.configuration({"c2/precision": BF16})
    assert choices.options(some)["bf16"] is True
