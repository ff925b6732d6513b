from __future__ import annotations

from dataclasses import replace

import pytest
from study_results import infeasible_result, study_result, trial

from npu_tune.errors import InfeasibleError, UsageError
from npu_tune.report import knee, pick_trial


@pytest.mark.parametrize(
    ("how", "number"),
    [("best", 2), ("knee", 2), ("cycles", 1), ("sram_bytes", 3), ("7", 7), ("0", 0)],
)
def test_a_trial_is_picked_by_rule_metric_or_number(how, number):
    assert pick_trial(study_result(), how).number == number


def test_the_knee_of_two_points_is_the_cheaper_one():
    two = replace(study_result(), trials=(trial(0, 1000, 100), trial(1, 900, 130)))
    assert knee(two).number == 0


def test_the_knee_does_not_depend_on_the_unit_of_a_metric():
    result = study_result(trial(8, 840, 61))
    assert knee(result).number == 8


def test_an_unknown_pick_names_what_may_be_picked():
    with pytest.raises(UsageError, match="knee, best, one of cycles, sram_bytes, npu_share"):
        pick_trial(study_result(), "speed")


def test_a_failed_trial_cannot_be_picked():
    with pytest.raises(UsageError, match=r"Trial 5 failed \(compiler-error\): block_config"):
        pick_trial(study_result(), "5")


def test_a_number_beyond_the_study_is_refused():
    with pytest.raises(UsageError, match="has no trial 99"):
        pick_trial(study_result(), "99")


@pytest.mark.parametrize("how", ["best", "knee", "cycles"])
def test_where_no_trial_meets_the_limits_only_a_number_picks(how):
    with pytest.raises(InfeasibleError):
        pick_trial(infeasible_result(), how)
    assert pick_trial(infeasible_result(), "3").number == 3


def test_where_more_is_better_a_metric_picks_the_highest():
    result = replace(study_result(), directions={"cycles": "maximize"})
    assert pick_trial(result, "cycles").number == 4
