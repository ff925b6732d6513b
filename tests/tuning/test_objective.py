from __future__ import annotations

import math
from dataclasses import replace

import pytest

from npu_tune.errors import CompilerError, UsageError
from npu_tune.quantities import parse_bounds
from npu_tune.targets import Goal, Kind, Metric
from npu_tune.tuning.objective import Objective, relative_difference
from npu_tune.tuning.sections import ObjectiveSection

METRICS = (
    Metric("cycles", "cycles", Kind.ESTIMATED),
    Metric("sram_bytes", "B", Kind.ESTIMATED),
    Metric("share", "", Kind.ESTIMATED),
)
TIMED = (
    Metric("latency_ms", "ms", Kind.MEASURED, goal=Goal.MINIMIZE),
    Metric("sram_bytes", "bytes", Kind.ESTIMATED, goal=Goal.MINIMIZE),
    Metric("accuracy", "", Kind.MEASURED, goal=Goal.MAXIMIZE),
)
BASELINE = {"cycles": 200.0, "sram_bytes": 50.0, "share": 0.5}


def objective(limits=None, *, metrics=METRICS, names=None, **section):
    if names:
        section["metrics"] = names
    bounds = {name: parse_bounds(texts) for name, texts in (limits or {}).items()}
    return Objective.of(ObjectiveSection(**section), bounds, metrics)


def test_the_first_two_metrics_share_the_weight_by_default():
    assert objective().weights == {"cycles": 0.5, "sram_bytes": 0.5}


def test_metrics_that_the_target_marks_are_the_default_objective():
    marked = (*METRICS[:2], replace(METRICS[2], objective=True))

    assert objective(metrics=marked).weights == {"share": 1.0}


def test_a_metric_that_gets_better_upwards_is_maximised_without_being_asked_for():
    chosen = objective(metrics=TIMED, names=("latency_ms", "accuracy"), mode="pareto")

    assert chosen.directions == {"latency_ms": "minimize", "accuracy": "maximize"}


def test_a_direction_that_the_target_states_may_be_stated_again():
    asked = {"directions": {"accuracy": "maximize"}}

    assert objective(metrics=TIMED, names=("accuracy",), **asked).directions == {
        "accuracy": "maximize"
    }


def test_a_direction_against_the_targets_goal_is_refused():
    with pytest.raises(UsageError, match=r"asks to minimize 'accuracy'.*other way"):
        objective(metrics=TIMED, names=("accuracy",), directions={"accuracy": "minimize"})


def test_numbers_of_different_kinds_are_not_weighed_against_each_other():
    with pytest.raises(
        UsageError, match=r"'latency_ms', which is measured.*is estimated.*a limit"
    ):
        objective(metrics=TIMED)


def test_a_metric_of_another_kind_may_be_limited():
    chosen = objective({"sram_bytes": "256 KiB"}, metrics=TIMED, names=("latency_ms",))

    assert chosen.limits == {"sram_bytes": 262144.0}


def test_the_baseline_costs_the_sum_of_the_weights():
    assert objective().cost(BASELINE, BASELINE) == 1.0


def test_the_cost_is_the_weighted_sum_of_ratios():
    chosen = objective(names=("cycles", "sram_bytes"), weights=(1.0, 3.0))

    assert chosen.cost({"cycles": 100.0, "sram_bytes": 25.0}, BASELINE) == 0.5 + 1.5
    assert chosen.values({"cycles": 100.0, "sram_bytes": 25.0}, BASELINE) == [2.0]


def test_more_of_a_maximised_metric_costs_less():
    chosen = objective(names=("share",), directions={"share": "maximize"})

    assert chosen.cost({"share": 0.75}, BASELINE) == 0.5
    assert chosen.cost({"share": 0.0}, BASELINE) == 2.0


@pytest.mark.parametrize(("direction", "better"), [("minimize", -80.0), ("maximize", -60.0)])
def test_a_baseline_below_zero_does_not_turn_the_optimum_round(direction, better):
    chosen = objective(names=("share",), directions={"share": direction})
    worse = -140.0 - better

    assert chosen.cost({"share": -70.0}, {"share": -70.0}) == 1.0
    assert chosen.cost({"share": better}, {"share": -70.0}) == pytest.approx(1 - 1 / 7)
    assert chosen.cost({"share": worse}, {"share": -70.0}) == pytest.approx(1 + 1 / 7)


def test_in_pareto_mode_the_study_gets_one_value_and_direction_per_metric():
    chosen = objective(names=("cycles", "share"), directions={"share": "maximize"}, mode="pareto")

    assert chosen.study_directions == ("minimize", "maximize")
    assert chosen.values({"cycles": 3.0, "share": 0.1}, BASELINE) == [3.0, 0.1]


def test_violations_are_in_the_metrics_unit_and_constraints_are_shares():
    chosen = objective({"sram_bytes": "<= 40"})

    assert chosen.violations(BASELINE) == {"sram_bytes": 10.0}
    assert chosen.constraints(BASELINE) == {"sram_bytes": 0.25}
    assert chosen.constraints({"sram_bytes": 40.0}) == {"sram_bytes": 0.0}


def test_a_limit_of_zero_can_be_met_and_missed():
    chosen = objective({"sram_bytes": "0"})

    assert chosen.constraints({"sram_bytes": 0.0}) == {"sram_bytes": 0.0}
    assert chosen.constraints(BASELINE) == {"sram_bytes": 50.0}


def test_a_lower_bound_is_missed_from_below():
    chosen = objective({"share": ">= 0.8"})

    assert chosen.floors == {"share": 0.8}
    assert chosen.violations(BASELINE) == {"share": pytest.approx(0.3)}
    assert chosen.constraints(BASELINE) == {"share": pytest.approx(0.375)}
    assert chosen.violations({"share": 0.9})["share"] < 0


@pytest.mark.parametrize(("value", "beyond"), [(0.3, 0.1), (0.5, -0.1), (0.7, 0.1)])
def test_of_both_bounds_of_a_metric_the_missed_one_counts(value, beyond):
    chosen = objective({"share": (">= 0.4", "<= 0.6")})

    assert chosen.violations({"share": value}) == {"share": pytest.approx(beyond)}


def test_bounds_that_exclude_each_other_are_refused():
    with pytest.raises(UsageError, match=r"'share' exclude each other: at most 0.4 and at least"):
        objective({"share": ("<= 0.4", ">= 0.6")})


@pytest.mark.parametrize(
    ("name", "text", "bound"),
    [
        ("latency_ms", "0.3", 0.3),
        ("latency_ms", "0.3 ms", 0.3),
        ("latency_ms", "300us", 0.3),
        ("latency_ms", "300 us", 0.3),
        ("latency_ms", "1.5 s", 1500.0),
        ("sram_bytes", "256KiB", 262144.0),
        ("sram_bytes", "1 MB", 1e6),
        ("accuracy", "90 %", 0.9),
        ("accuracy", "0.9", 0.9),
    ],
)
@pytest.mark.parametrize("sign", ["<=", ">="])
def test_a_limit_is_taken_in_the_unit_of_its_metric(name, text, bound, sign):
    chosen = objective({name: f"{sign} {text}"}, metrics=TIMED, names=("latency_ms",))

    bounds = chosen.limits if sign == "<=" else chosen.floors
    assert bounds == {name: pytest.approx(bound, rel=1e-12)}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("latency_ms", "3 KiB", "is 3 kib, but 'latency_ms' is counted in ms"),
        ("sram_bytes", "3 ms", "'sram_bytes' is counted in bytes"),
        ("sram_bytes", "3 %", "'sram_bytes' is counted in bytes"),
        ("accuracy", "3 ms", "'accuracy' is a ratio without a unit"),
    ],
)
def test_a_limit_in_a_unit_of_something_else_is_refused(name, text, match):
    with pytest.raises(UsageError, match=match):
        objective({name: text}, metrics=TIMED, names=("latency_ms",))


@pytest.mark.parametrize(
    ("limits", "section", "match"),
    [
        ({"sram_byte": "1"}, {}, "Did you mean 'sram_bytes'"),
        ({}, {"names": ("cycle",)}, "Did you mean 'cycles'"),
        ({}, {"directions": {"shares": "maximize"}}, "Did you mean 'share'"),
        ({}, {"directions": {"share": "maximize"}}, "not optimised"),
    ],
)
def test_a_metric_the_target_does_not_report_is_refused(limits, section, match):
    with pytest.raises(UsageError, match=match):
        objective(limits, **section)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_value_that_is_no_number_is_a_failure(value):
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
