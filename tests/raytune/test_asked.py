from __future__ import annotations

import pytest
from fake_targets import LayeredTarget

from npu_tune.errors import UsageError
from npu_tune.raytune.asked import modes_of, objective_of

METRICS = LayeredTarget().metrics


def asked(**arguments):
    return objective_of(METRICS, **arguments)


def test_the_target_says_which_way_its_metrics_get_better():
    objective = asked(metric=["cycles", "accuracy"])
    assert modes_of(objective) == ["min", "max"]
    assert objective.study_directions == ("minimize", "maximize")


@pytest.mark.parametrize("mode", ["min", ["min", "min"]])
def test_one_mode_counts_for_all_metrics_and_several_for_one_each(mode):
    assert modes_of(asked(metric=["cycles", "sram_bytes"], mode=mode)) == ["min", "min"]


@pytest.mark.parametrize(
    "limits",
    [
        "sram_bytes<=256 KiB",
        ["sram_bytes<=256 KiB"],
        {"sram_bytes": 262144},
        {"sram_bytes": "<= 256 KiB"},
        {"sram_bytes": ["<= 256 KiB"]},
    ],
)
def test_a_limit_is_written_as_in_a_study(limits):
    assert asked(metric="cycles", limits=limits).limits == {"sram_bytes": 262144}


def test_lower_bounds_are_limits_too():
    assert asked(metric="cycles", limits="accuracy>=90 %").floors == {"accuracy": 0.9}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "cycle"}, "The argument `metric` names the metric 'cycle'.*'cycles'?"),
        ({"metric": "accuracy", "mode": "min"}, "The argument `mode` asks to minimize 'accuracy'"),
        ({"metric": "cycles", "mode": "mim"}, "The argument `mode` is 'mim'.*'min'?"),
        ({"metric": ["cycles", "share"], "mode": ["min"]}, "gives 1 goals for 2 metrics"),
        ({"metric": ["cycles", "cycles"]}, "a metric is named twice"),
        ({"metric": []}, "must not be empty"),
        ({"metric": "cycles", "limits": {"sram": 1}}, "`limits` names the metric 'sram'"),
        ({"metric": "cycles", "limits": "sram_bytes<=300us"}, "'sram_bytes' is counted in B"),
        ({"metric": "cycles", "limits": "sram_bytes"}, "'sram_bytes' is no limit"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments, words):
    with pytest.raises(UsageError, match=words):
        asked(**arguments)
