from __future__ import annotations

from dataclasses import replace

import pytest
from study_results import study_result

from npu_tune.report.explain import cause_shares, cost_in_words, layer_costs
from npu_tune.report.explain.layer_costs import advice
from npu_tune.targets import ProfileSchema

CAUSES = {"npu_cycles": "compute", "off_chip_cycles": "flash"}


def result_with_causes():
    """The study whose best spends three quarters of its time in ``conv``, waiting for flash."""
    result = study_result()
    profiles = (
        {
            "conv": {"cycles": 750.0, "npu_cycles": 100.0, "off_chip_cycles": 750.0},
            "pool": {"cycles": 250.0, "npu_cycles": 250.0, "off_chip_cycles": 10.0},
        },
    )
    trials = tuple(
        replace(each, profile=profiles[0]) if each is result.best else each
        for each in result.trials
    )
    return replace(result, trials=trials, profile=ProfileSchema(causes=CAUSES))


def test_layers_are_told_in_execution_order_with_their_shares_and_what_bounds_them():
    result = result_with_causes()
    conv, pool = layer_costs(result, result.best)
    assert (conv.layer, conv.before, conv.after) == ("conv", 900.0, 750.0)
    assert (conv.share_before, conv.share_after) == (0.9, 0.75)
    assert (conv.cause_before, conv.cause_after) == ("", "flash")
    assert conv.changes == {"ofm_block": ("8x8x16", "4x4x16")}
    assert (pool.cause_after, pool.share_after) == ("compute", 0.25)
    assert cause_shares([conv, pool]) == {"flash": 0.75, "compute": 0.25}


def test_advice_names_what_dominates():
    result = result_with_causes()
    said = advice(layer_costs(result, result.best), result.profile)
    assert said[0] == (
        "conv takes 75% of the time: reading from flash takes longer than computing."
    )
    assert said[1] == "pool takes 25% of the time, computing."
    assert said[2].startswith("Layers bounded by flash take 75% of the time: ")
    assert len(said) == 3


def test_nothing_is_advised_where_nothing_dominates_and_nothing_where_nothing_is_known():
    result = study_result()
    rows = layer_costs(result, result.best)
    even = [replace(row, share_after=0.1, cause_after="flash") for row in rows]
    assert advice(even, result.profile) == ()
    assert advice([], result.profile) == ()
    unprofiled = replace(result.best, profile={})
    rows = layer_costs(replace(result, trials=(unprofiled,)), unprofiled)
    assert rows == ()


@pytest.mark.parametrize(
    ("schema", "words"),
    [(ProfileSchema(), "the time"), (ProfileSchema("dma", "bytes"), "all dma")],
)
def test_costs_that_are_no_time_are_not_called_time(schema, words):
    assert cost_in_words(schema) == words
