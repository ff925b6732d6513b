from __future__ import annotations

from dataclasses import replace

from study_results import full_cycles_result, study_result

from npu_tune.report import compare_with_yardsticks


def test_the_baseline_costs_one_and_comes_first():
    result = study_result()
    baseline, other = compare_with_yardsticks(result, result.best)
    assert baseline.label == "baseline"
    assert baseline.cost == 1.0
    assert other.cost == 0.5 * 0.82 + 0.5


def test_a_yardstick_that_is_lower_in_one_metric_is_not_beaten():
    result = study_result()
    baseline, other = compare_with_yardsticks(result, result.best)
    assert baseline.is_beaten
    assert other.beaten_on == ("sram_bytes",)
    assert other.lost_on == ("cycles",)
    assert not other.is_beaten


def test_an_equal_yardstick_is_not_beaten():
    result = study_result()
    baseline, _ = compare_with_yardsticks(result, result.trials[0])
    assert not baseline.is_beaten
    assert not baseline.lost_on


def test_a_yardstick_without_a_figure_has_no_cost():
    result = replace(study_result(), references={"partial": {"cycles": 10.0}})
    partial = compare_with_yardsticks(result, result.best)[1]
    assert partial.cost is None
    assert partial.lost_on == ("cycles",)


def test_where_more_is_better_the_higher_figure_beats():
    result = replace(
        study_result(),
        objective={"npu_share": 1.0},
        directions={"npu_share": "maximize"},
        references={"half": {"npu_share": 0.5}},
    )
    half = compare_with_yardsticks(result, result.best)[1]
    assert half.beaten_on == ("npu_share",)
    assert half.cost == 1.5


def test_yardsticks_are_held_against_the_vendors_own_figure_not_the_full_one():
    result = full_cycles_result()
    baseline, other = compare_with_yardsticks(result, result.best)
    assert baseline.beaten_on == ("cycles", "sram_bytes")
    assert other.beaten_on == ("cycles", "sram_bytes")
    worse = replace(result, references={"quick": {"cycles": 500.0, "full_cycles": 5000.0}})
    assert compare_with_yardsticks(worse, result.best)[1].lost_on == ("cycles",)
