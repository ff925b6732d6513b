from __future__ import annotations

from dataclasses import replace

from study_results import full_cycles_result, measured_result, objective_of, study_result

from npu_tune.report import compare_with_references
from npu_tune.report.references import stated_metrics


def test_the_baseline_costs_one_and_comes_first():
    result = study_result()
    baseline, other = compare_with_references(result, result.best)
    assert baseline.label == "baseline"
    assert baseline.cost == 1.0
    assert other.cost == 0.5 * 0.82 + 0.5


def test_a_reference_that_is_lower_in_one_metric_is_not_beaten():
    result = study_result()
    baseline, other = compare_with_references(result, result.best)
    assert baseline.is_beaten
    assert other.beaten_on == ("sram_bytes",)
    assert other.lost_on == ("cycles",)
    assert not other.is_beaten


def test_an_equal_reference_is_not_beaten():
    result = study_result()
    baseline, _ = compare_with_references(result, result.trials[0])
    assert not baseline.is_beaten
    assert not baseline.lost_on


def test_a_reference_without_a_metric_has_no_cost():
    result = replace(study_result(), references={"partial": {"cycles": 10.0}})
    partial = compare_with_references(result, result.best)[1]
    assert partial.cost is None
    assert partial.lost_on == ("cycles",)


def test_where_more_is_better_the_higher_value_beats():
    result = replace(
        study_result(),
        objective=objective_of("npu_share", directions={"npu_share": "maximize"}),
        references={"half": {"npu_share": 0.5}},
    )
    half = compare_with_references(result, result.best)[1]
    assert half.beaten_on == ("npu_share",)
    assert half.cost == 1.5


def test_references_are_compared_in_the_metric_that_vendors_state():
    result = full_cycles_result()
    baseline, other = compare_with_references(result, result.best)
    assert baseline.beaten_on == ("cycles", "sram_bytes")
    assert other.beaten_on == ("cycles", "sram_bytes")
    worse = replace(result, references={"quick": {"cycles": 500.0, "full_cycles": 5000.0}})
    assert compare_with_references(worse, result.best)[1].lost_on == ("cycles",)


def test_what_completes_a_metric_that_the_target_does_not_report_is_compared_itself():
    result = full_cycles_result()
    without = tuple(metric for metric in result.metrics if metric.name != "cycles")
    assert stated_metrics(replace(result, metrics=without)) == ("full_cycles", "sram_bytes")


def test_what_vendors_state_gets_better_the_same_way_as_what_completes_it():
    directions = {"full_cycles": "maximize", "sram_bytes": "minimize"}
    objective = objective_of("full_cycles", "sram_bytes", directions=directions)
    result = replace(full_cycles_result(), objective=objective)
    assert "cycles" in compare_with_references(result, result.trials[4])[0].beaten_on


def test_where_evaluations_differ_a_clear_gain_is_a_gain():
    result = measured_result(vendor=7.0)
    baseline, vendor = compare_with_references(result, result.best)
    assert baseline.is_beaten
    assert not baseline.is_tie
    assert vendor.lost_on == ("latency_ms",)
    assert not vendor.is_tie


def test_a_cost_within_the_interval_of_the_bests_is_a_tie():
    result = measured_result((10.0, 9.9, 10.1, 10.0, 10.0, 9.9))
    (baseline,) = compare_with_references(result, result.best)
    assert baseline.is_tie
    assert not baseline.is_beaten


def test_a_reference_that_was_evaluated_once_ties_within_the_noise_of_one_evaluation():
    result = measured_result(vendor=8.05)
    vendor = compare_with_references(result, result.best)[1]
    assert vendor.is_tie
    assert (vendor.beaten_on, vendor.lost_on) == ((), ())


def test_before_anything_was_repeated_noise_is_what_the_target_expects():
    result = measured_result((), near=7.8, far=8.0)
    baseline, near, far = compare_with_references(result, result.best)
    assert [row.is_tie for row in (baseline, near, far)] == [False, True, False]
    assert baseline.is_beaten
    assert far.is_beaten


def test_nothing_is_beaten_before_anything_was_repeated_where_nothing_is_expected():
    result = measured_result(())
    (latency,) = result.metrics
    unknown = replace(result, metrics=(replace(latency, spread=0.0),))
    (baseline,) = compare_with_references(unknown, unknown.best)
    assert baseline.is_tie
    assert not baseline.is_beaten
