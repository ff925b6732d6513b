from __future__ import annotations

from dataclasses import replace

from study_results import DEFAULT, study_result

from npu_tune.report import layer_changes


def test_every_layer_stands_in_execution_order_with_its_cost_before_and_after():
    result = study_result()
    network, conv, pool = layer_changes(result, result.best)
    assert network.layer == "network"
    assert network.changes == {"strategy": ("Performance", "Size")}
    assert (conv.layer, conv.cost_before, conv.cost_after) == ("conv", 900, 750)
    assert conv.changes == {"ofm_block": ("8x8x16", "4x4x16")}
    assert (pool.layer, pool.is_change) == ("pool", False)


def test_a_layer_that_no_profile_has_is_kept_when_its_knob_changed():
    result = study_result()
    best = replace(result.best, profile={})
    rows = {row.layer: row for row in layer_changes(replace(result, trials=(best,)), best)}
    assert rows["conv"].cost_before is None
    assert rows["conv"].is_change


def test_a_layer_name_with_slashes_is_split_from_its_knob_at_the_last_one():
    default = type(DEFAULT).of({"block/1/conv/stripe": 1})
    result = study_result()
    changed = replace(result.trials[1], configuration=default.replace({"block/1/conv/stripe": 2}))
    rows = {r.layer: r for r in layer_changes(replace(result, default=default), changed)}
    assert rows["block/1/conv"].changes == {"stripe": (1, 2)}
