from __future__ import annotations

from dataclasses import replace

import pytest
from study_results import infeasible_result, measured_result, objective_of, study_result, trial

from npu_tune.errors import InfeasibleError, UsageError
from npu_tune.report import knee, pick_trial
from npu_tune.targets import Goal, Kind, Metric


@pytest.mark.parametrize(
    ("how", "number"),
    [("best", 2), ("knee", 2), ("cycles", 1), ("sram_bytes", 3), ("7", 7), ("0", 0)],
)
def test_a_trial_is_picked_by_rule_metric_or_number(how, number):
    assert pick_trial(study_result(), how).number == number


def test_the_knee_of_two_points_is_the_one_of_lower_cost():
    two = replace(study_result(), trials=(trial(0, 1000, 100), trial(1, 900, 130)))
    assert knee(two).number == 0


def test_the_knee_does_not_depend_on_the_unit_of_a_metric():
    result = study_result(trial(8, 840, 61))
    assert knee(result).number == 8


def test_an_unknown_pick_names_what_may_be_picked():
    with pytest.raises(UsageError, match="knee, best, one of cycles, sram_bytes, npu_share"):
        pick_trial(study_result(), "speed")
    with pytest.raises(UsageError, match="Did you mean 'cycles'"):
        pick_trial(study_result(), "cycle")
    with pytest.raises(UsageError, match="Did you mean 'knee'"):
        pick_trial(study_result(), "kne")


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
    result = replace(
        study_result(), objective=objective_of("cycles", directions={"cycles": "maximize"})
    )
    assert pick_trial(result, "cycles").number == 4


def test_the_goal_that_a_target_states_counts_for_metrics_beside_the_objective():
    result = study_result()
    share = replace(result.metrics[2], goal=Goal.MAXIMIZE)
    low, high = (
        replace(trial(n, 900, 90), metrics={"cycles": 900, "sram_bytes": 90, "npu_share": share})
        for n, share in ((0, 0.5), (1, 0.75))
    )
    result = replace(result, metrics=(*result.metrics[:2], share), trials=(low, high))
    assert pick_trial(result, "npu_share").number == 1


def test_the_knee_goes_by_the_goals():
    directions = {"cycles": "maximize", "sram_bytes": "minimize"}
    result = replace(
        study_result(), objective=objective_of("cycles", "sram_bytes", directions=directions)
    )
    assert [t.number for t in result.front] == [4, 3]
    assert knee(result).number == 3


def test_where_evaluations_differ_all_those_of_a_configuration_are_picked_together():
    result = measured_result()
    assert pick_trial(result, "latency_ms") is result.best
    assert pick_trial(result, "1") is result.best
    assert pick_trial(result, "4").samples == 1


def test_a_metric_that_no_trial_says_cannot_be_picked_by():
    result = study_result()
    extra = Metric("flash_bytes", "bytes", Kind.ESTIMATED, on_request=True)
    without = replace(result, metrics=(*result.metrics, extra))
    with pytest.raises(UsageError, match="flash_bytes, which is worked out on request"):
        pick_trial(without, "flash_bytes")
