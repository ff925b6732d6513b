from __future__ import annotations

from types import SimpleNamespace

import pytest
from evaluations import SPACE
from fake_targets import LayeredTarget

from npu_tune.errors import InfeasibleError, UsageError
from npu_tune.raytune import best, configuration_of, front

TARGET = LayeredTarget()


def results(*rows):
    """What a Tuner returns, as far as it is looked at."""
    return [
        SimpleNamespace(
            metrics=None if row is None else {**row, "training_iteration": 1},
            error=None if row is not None else RuntimeError("no"),
            config={"layer0": {"block": number}},
        )
        for number, row in enumerate(rows)
    ]


FOUND = results(
    {"cycles": 10.0, "sram_bytes": 300.0, "accuracy": 0.8},
    None,
    {"cycles": 20.0, "sram_bytes": 100.0, "accuracy": 0.9},
    {"cycles": 25.0, "sram_bytes": 100.0, "accuracy": 0.9},
    {"cycles": 15.0, "sram_bytes": 200.0, "accuracy": 0.7},
)


def test_the_best_is_the_least_or_the_most_as_the_target_says():
    assert best(FOUND, TARGET, metric="cycles") is FOUND[0]
    assert best(FOUND, TARGET, metric="accuracy") is FOUND[2]


def test_the_best_keeps_to_the_limits():
    assert best(FOUND, TARGET, metric="cycles", limits="sram_bytes<=250") is FOUND[4]
    limits = ["sram_bytes<=250", "accuracy>=0.75"]
    assert best(FOUND, TARGET, metric="cycles", limits=limits) is FOUND[2]


def test_the_front_is_what_nothing_beats_in_the_order_of_the_first_metric():
    kept = front(FOUND, TARGET, metric=["sram_bytes", "cycles"])
    assert kept == [FOUND[2], FOUND[4], FOUND[0]]
    assert front(FOUND, TARGET, metric=["accuracy", "cycles"]) == [FOUND[2], FOUND[0]]


def test_where_nothing_keeps_to_the_limits_the_nearest_is_told():
    with pytest.raises(InfeasibleError, match=r"nearest one has .*'sram_bytes': 100") as caught:
        best(FOUND, TARGET, metric="cycles", limits="sram_bytes<=50")
    assert caught.value.data["metrics"]["sram_bytes"] == 100.0


def test_without_any_result_it_says_so():
    with pytest.raises(UsageError, match="No trial came to a result"):
        front(results(None), TARGET, metric=["cycles", "sram_bytes"])


def test_a_misspelt_metric_is_answered_with_the_closest_one():
    with pytest.raises(UsageError, match=r"Did you mean 'cycles'\?"):
        best(FOUND, TARGET, metric="cycle")


def test_a_results_configuration_is_one_of_the_space():
    assert configuration_of(SPACE, FOUND[2]) == SPACE.configuration({"layer0/block": 24})
