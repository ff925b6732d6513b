from __future__ import annotations

from npu_tune.space import Configuration
from npu_tune.tuning.changes import changes_text

DEFAULT = Configuration.of(
    {"network/order": "size", "a/b/stripes": 1, "a/b/ram": False, "c/stripes": 2}
)


def test_changes_stand_layer_by_layer_with_both_values():
    changed = DEFAULT.replace({"a/b/stripes": 4, "a/b/ram": True, "network/order": "time"})

    assert changes_text(changed, DEFAULT) == (
        "network: order size -> time; a/b: stripes 1 -> 4, ram False -> True"
    )


def test_the_default_changes_nothing():
    assert changes_text(DEFAULT, DEFAULT) == "none"


def test_a_long_text_says_how_many_changes_it_leaves_out():
    changed = DEFAULT.replace(
        {"network/order": "time", "a/b/stripes": 4, "a/b/ram": True, "c/stripes": 3}
    )

    text = changes_text(changed, DEFAULT, longest=40)

    assert text == "network: order size -> time; and 3 more"
