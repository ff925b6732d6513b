"""Which layers have which knobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import network_of

from npu_tune.errors import TargetError
from npu_tune.targets.command.knobs import by_layer, make_space, make_starts
from npu_tune.targets.command.settings import KnobTable, StartTable

NETWORK = network_of(
    "a = Conv(x, w) b = Relu(a) c = Conv(b, v) y = Relu(c)",
    {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)},
    inputs="float[1,3,8,8] x",
)
NAMES = [layer.name for layer in NETWORK.layers]


def knob(**changes) -> KnobTable:
    table = {"name": "bits", "values": [4, 8], "default": 8, **changes}
    return KnobTable.model_validate(table)


def owners(*tables: KnobTable) -> list[str]:
    return [each.full_name for each in make_space(tables, NETWORK).knobs]


def test_a_knob_belongs_to_every_layer_that_its_patterns_mean():
    assert owners(knob()) == [f"{name}/bits" for name in NAMES]
    assert owners(knob(operators="Conv")) == [f"{NAMES[0]}/bits", f"{NAMES[2]}/bits"]
    assert owners(knob(operators="Conv", but=NAMES[0])) == [f"{NAMES[2]}/bits"]
    assert owners(knob(layers=[NAMES[3], NAMES[1]])) == [f"{NAMES[1]}/bits", f"{NAMES[3]}/bits"]


def test_knobs_of_the_network_come_first_and_then_in_the_order_of_layers():
    found = owners(knob(operators="Conv"), knob(layers="network", name="level"))
    assert found == ["network/level", f"{NAMES[0]}/bits", f"{NAMES[2]}/bits"]


def test_a_layer_that_is_not_there_is_named_with_the_closest_one():
    with pytest.raises(TargetError, match="'Conv_9'") as raised:
        owners(knob(layers="Conv_9"))
    assert NAMES[0] in str(raised.value)


def test_a_knob_twice_on_a_layer_is_refused():
    with pytest.raises(TargetError, match="twice"):
        owners(knob(operators="Conv"), knob(layers=NAMES[0]))


def test_patterns_that_leave_nothing_to_choose_are_refused_with_the_operators_there_are():
    with pytest.raises(TargetError, match="nothing to choose") as raised:
        owners(knob(operators="MatMul"))
    assert "Conv, Relu" in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": []}, "values"),
        ({"values": [4, 4, 8]}, "twice"),
        ({"values": [1, True], "default": 1}, "twice"),
        ({"default": 16}, "not one of its values"),
        ({"values": [4, float("nan")], "default": 4}, "finite"),
        ({"name": "a/b"}, "name"),
        ({"layers": []}, "layers"),
    ],
)
def test_values_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        knob(**changes)


def test_starts_meet_the_knobs_that_their_patterns_mean():
    space = make_space([knob(operators="Conv"), knob(layers="network", name="level")], NETWORK)
    tables = [
        StartTable(label="small", values={"*/bits": 4, f"{NAMES[2]}/bits": 8}),
        StartTable(label="none", values={"no such*": 3}),
    ]
    small, none = make_starts(tables, space)
    assert small.configuration.difference(space.default) == {f"{NAMES[0]}/bits": 4}
    assert none.configuration == space.default
    with pytest.raises(TargetError, match="'big'"):
        list(make_starts([StartTable(label="big", values={"*/bits": 32})], space))


@given(st.dictionaries(st.tuples(st.text(min_size=1), st.from_regex(r"[^/]+")), st.integers()))
def test_values_come_back_from_the_layers_they_were_sorted_under(values):
    flat = {f"{layer}/{name}": value for (layer, name), value in values.items()}
    nested = by_layer(flat)
    again = {f"{layer}/{k}": v for layer, inner in nested.items() for k, v in inner.items()}
    assert again == flat
