from __future__ import annotations

import math

import pytest

from npu_tune.errors import CompilerError, UsageError
from npu_tune.targets import Kind, Metric
from npu_tune.tuning.objective import Objective, relative_difference
from npu_tune.tuning.sections import ObjectiveSection

METRICS = tuple(Metric(name, "", Kind.ESTIMATED) for name in ("cycles", "sram_bytes", "share"))
BASELINE = {"cycles": 200.0, "sram_bytes": 50.0, "share": 0.5}


def objective(limits=None, **section):
    return Objective.of(ObjectiveSection(**section), limits or {}, METRICS)


def test_the_first_two_metrics_share_the_weight_by_default():
    assert objective().weights == {"cycles": 0.5, "sram_bytes": 0.5}


def test_the_baseline_costs_the_sum_of_the_weights():
    assert objective().cost(BASELINE, BASELINE) == 1.0


def test_the_cost_is_the_weighted_sum_of_ratios():
    chosen = objective(metrics=("cycles", "sram_bytes"), weights=(1.0, 3.0))

    assert chosen.cost({"cycles": 100.0, "sram_bytes": 25.0}, BASELINE) == 0.5 + 1.5
    assert chosen.values({"cycles": 100.0, "sram_bytes": 25.0}, BASELINE) == [2.0]


def test_more_of_a_maximised_metric_costs_less():
    chosen = objective(metrics=("share",), directions={"share": "maximize"})

    assert chosen.cost({"share": 0.75}, BASELINE) == 0.5
    assert chosen.cost({"share": 0.0}, BASELINE) == 2.0


def test_in_pareto_mode_the_study_gets_one_value_and_direction_per_metric():
    chosen = objective(
        metrics=("cycles", "share"), directions={"share": "maximize"}, mode="pareto"
    )

    assert chosen.study_directions == ("minimize", "maximize")
    assert chosen.values({"cycles": 3.0, "share": 0.1}, BASELINE) == [3.0, 0.1]


def test_violations_are_in_the_metrics_unit_and_constraints_are_shares():
    chosen = objective({"sram_bytes": 40.0})

    assert chosen.violations(BASELINE) == {"sram_bytes": 10.0}
    assert chosen.constraints(BASELINE) == {"sram_bytes": 0.25}
    assert chosen.constraints({"sram_bytes": 40.0}) == {"sram_bytes": 0.0}


def test_a_limit_of_zero_can_be_met_and_missed():
    chosen = objective({"sram_bytes": 0.0})

    assert chosen.constraints({"sram_bytes": 0.0}) == {"sram_bytes": 0.0}
    assert chosen.constraints(BASELINE) == {"sram_bytes": 50.0}


@pytest.mark.parametrize(
    ("limits", "section", "match"),
    [
        ({"sram_byte": 1.0}, {}, "Did you mean 'sram_bytes'"),
        ({}, {"metrics": ("cycle",)}, "Did you mean 'cycles'"),
        ({}, {"directions": {"shares": "maximize"}}, "Did you mean 'share'"),
        ({}, {"directions": {"share": "maximize"}}, "not optimised"),
    ],
)
def test_a_metric_the_target_does_not_report_is_refused(limits, section, match):
    with pytest.raises(UsageError, match=match):
        objective(limits, **section)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_figure_that_is_no_number_is_a_failure(value):
    metrics = {name: v for name, v in {**BASELINE, "cycles": value}.items() if v is not None}

    with pytest.raises(CompilerError, match="'cycles'"):
        objective().require_usable(metrics)


def test_a_metric_that_is_not_asked_for_may_be_anything():
    objective().require_usable({**BASELINE, "share": math.nan})


def test_a_baseline_of_zero_cannot_be_weighed_against():
    with pytest.raises(UsageError, match="'sram_bytes' is 0"):
        objective().require_baseline({**BASELINE, "sram_bytes": 0.0})


def test_only_what_differs_is_listed_as_different():
    apart = relative_difference({**BASELINE, "cycles": 100.0}, BASELINE)

    assert apart == {"cycles": 0.5}


def test_a_metric_that_only_one_evaluation_reports_is_wholly_different():
    assert relative_difference({"a": 0.0}, {"b": 0.0}) == {"a": 1.0, "b": 1.0}
