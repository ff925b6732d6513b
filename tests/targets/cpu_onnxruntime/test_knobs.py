from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_cases import feeds_of, graph_of, separable_network
from small_networks import network_of

from npu_tune.space import Configuration
from npu_tune.targets.cpu_onnxruntime.back_end import OnnxRuntimeBackEnd
from npu_tune.targets.cpu_onnxruntime.knobs import OPTIMIZATION, layers_in_int8, make_space
from npu_tune.targets.measured.knobs import THREADS

SEPARABLE = graph_of(separable_network())
BACK_END = OnnxRuntimeBackEnd(SEPARABLE, feeds_of(SEPARABLE.graph), (1,))
SPACE = BACK_END.space


@st.composite
def configurations(draw) -> Configuration:
    return SPACE.configuration(
        {knob.full_name: draw(st.sampled_from(knob.values)) for knob in SPACE.knobs}
    )


def content_of(configuration: Configuration, folder) -> bytes:
    BACK_END.write(configuration, folder)
    return b"".join(path.read_bytes() for path in sorted(folder.glob("model.*")))


def test_the_default_is_float_with_everything_optimised():
    assert SPACE.default[OPTIMIZATION] == "all"
    assert layers_in_int8(SPACE.default) == frozenset()
    assert SPACE.effective(SPACE.default) == SPACE.default


def test_layers_have_a_precision_and_a_range():
    assert {knob.layer: None for knob in SPACE.knobs} == dict.fromkeys(
        ["network", "c1", "c2", "c3", "s1", "y"]
    )
    assert [knob.name for knob in SPACE.knobs if knob.layer == "c1"] == ["precision", "range"]


def test_layers_without_an_int8_form_have_no_knobs():
    network = network_of("y = Gemm<alpha=0.5>(x, w)", {"w": (4, 5)}, inputs="float[5,4] x")
    assert [knob.full_name for knob in make_space(graph_of(network), (1,)).knobs] == [OPTIMIZATION]


@pytest.mark.parametrize(("threads", "default"), [((1,), None), ((2, 1), 2), ((1, 2, 4), 1)])
def test_threads_are_a_choice_where_there_are_several(threads, default):
    assert make_space(SEPARABLE, threads).default.get(THREADS) == default


@given(configurations())
@settings(max_examples=100, deadline=None)
def test_an_effective_configuration_is_its_own_effective_one(configuration):
    effective = SPACE.effective(configuration)
    assert SPACE.effective(effective) == effective
    assert layers_in_int8(effective) == layers_in_int8(configuration)


@given(configurations())
@settings(max_examples=60, deadline=None)
def test_a_configuration_and_its_effective_one_are_the_same_file(tmp_path_factory, configuration):
    folder = tmp_path_factory.mktemp("files")
    effective = SPACE.effective(configuration)
    assert content_of(configuration, folder) == content_of(effective, folder)


@given(configurations(), st.sampled_from(["c1", "c2", "c3", "s1", "y"]), st.data())
@settings(max_examples=60, deadline=None)
def test_a_range_that_changes_no_file_changes_no_effective_configuration(
    tmp_path_factory, configuration, layer, data
):
    """Of ranges that are stored, at least the methods differ in what they say."""
    method = data.draw(st.sampled_from(["mse", "p99.9"]))
    other = configuration.replace({f"{layer}/range": method})
    folder = tmp_path_factory.mktemp("files")
    if SPACE.effective(configuration) != SPACE.effective(other):
        before = BACK_END._range(SEPARABLE.layers[0].output, configuration[f"{layer}/range"])
        assert before is not None
        stored = content_of(configuration, folder) != content_of(other, folder)
        same_range = configuration[f"{layer}/range"] == method
        assert stored or same_range or _ranges_agree(configuration, other, layer)
    else:
        assert content_of(configuration, folder) == content_of(other, folder)


def _ranges_agree(one: Configuration, other: Configuration, layer: str) -> bool:
    tensor = next(each.output for each in SEPARABLE.layers if each.name == layer)
    return BACK_END._range(tensor, one[f"{layer}/range"]) == BACK_END._range(
        tensor, other[f"{layer}/range"]
    )


def test_the_range_of_what_nobody_stores_is_the_default_one():
    configuration = SPACE.default.replace({"c3/range": "mse", "c2/range": "mse"})
    assert SPACE.effective(configuration) == SPACE.default


def test_the_range_of_a_float_layer_counts_where_an_int8_layer_reads_it():
    in_int8 = SPACE.default.replace({"s1/precision": "int8"})
    other = in_int8.replace({"c3/range": "mse"})
    assert SPACE.effective(other) == other != in_int8
