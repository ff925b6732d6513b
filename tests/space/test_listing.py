from __future__ import annotations

import json

from hypothesis import given
from spaces import spaces

from npu_tune.space import Knob, SearchSpace, format_space, space_as_dict

SPACE = SearchSpace(
    (
        Knob("network", "strategy", ("size", "speed"), default="speed"),
        Knob("conv", "block", tuple(range(100)), default=40, ordered=True),
        Knob("conv", "cascade", (False, True), default=False, description="join the next layer"),
    )
)


def test_a_listing_has_a_line_per_knob_with_the_default_in_brackets():
    assert format_space(SPACE, most_values=4).splitlines() == [
        "network",
        "  strategy  size [speed]  (2 unordered)",
        "conv",
        "  block    0 1 ... [40] ... 98 99  (100 ordered)",
        "  cascade  [False] True  (2 unordered)  join the next layer",
        "3 knobs of 2 layers, 400 configurations",
    ]


def test_large_spaces_are_given_as_a_power_of_ten():
    space = SearchSpace(
        tuple(Knob(f"l{n}", "k", tuple(range(10)), default=0) for n in range(12)),
    )
    assert format_space(space).endswith("12 knobs of 12 layers, about 10^12.0 configurations")


@given(spaces())
def test_the_dict_is_json_and_holds_every_knob_with_its_default(space):
    listed = json.loads(json.dumps(space_as_dict(space)))
    knobs = [
        (entry["layer"], knob["name"], knob["values"], knob["default"])
        for entry in listed["layers"]
        for knob in entry["knobs"]
    ]
    expected = [
        (layer, knob.name, list(knob.values), knob.default)
        for layer in space.layers
        for knob in space.knobs
        if knob.layer == layer
    ]
    assert knobs == expected
    assert listed["knobs"] == len(space.knobs)


@given(spaces())
def test_every_layer_and_knob_is_in_the_listing(space):
    text = format_space(space)
    assert all(knob.layer in text and knob.name in text for knob in space.knobs)
