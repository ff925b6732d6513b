from __future__ import annotations

from dataclasses import replace

import pytest
from study_results import measured_result, study_result

from npu_tune.numerals import format_cost, format_ratio, format_value
from npu_tune.report.numbers import metric_value, of_baseline


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536, "bytes", "1.5 KiB"),
        (1509949.44, "bytes", "1,474.6 KiB"),
        (220831.0, "", "220,831"),
        (0.98765, "", "0.9877"),
        (12345.678, "", "12,346"),
        (1909247.7, "cycles", "1,909,248"),
        (999.96, "", "1,000"),
        (0.0, "bytes", "0.0 KiB"),
    ],
)
def test_values_are_written_for_people(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "error", "text"),
    [
        (7.81234, "ms", 0.01, "7.81"),
        (7.81234, "ms", 0.001, "7.812"),
        (7.81234, "ms", 0.2, "8"),
        (123456.0, "us", 0.02, "123,000"),
        (0.0, "ms", 0.02, "0"),
        (733184.0, "bytes", 0.02, "720 KiB"),
        (733184.0, "bytes", 0.0001, "716.0 KiB"),
        (float("inf"), "ms", 0.0, "inf"),
    ],
)
def test_a_measured_value_has_the_digits_that_its_error_bears(value, unit, error, text):
    assert format_value(value, unit, error=error) == text


def test_a_ratio_to_nothing_is_a_dash():
    assert format_ratio(1.0, 0.0) == "-"
    assert format_ratio(1.0, 2.0) == "0.500"


def test_ratios_and_costs_have_no_digits_beyond_their_errors_either():
    assert format_ratio(1.0, 3.0, error=0.05) == "0.33"
    assert format_ratio(1.0, 3.0, error=0.0001) == "0.333"
    assert format_cost(0.65584) == "0.6558"
    assert format_cost(0.65584, error=0.02) == "0.66"
    assert format_cost(None) == "-"


def test_a_trial_is_written_as_exactly_as_its_evaluations_bear_and_more_bear_more():
    result = measured_result()
    once = replace(result.best, metrics={"latency_ms": 8.12345}, samples=1)
    often = replace(once, samples=10_000)
    assert metric_value(result, once, "latency_ms") == "8.1"
    assert metric_value(result, often, "latency_ms") == "8.123"
    assert of_baseline(result, once, "latency_ms") == "0.81"


def test_where_evaluations_repeat_exactly_nothing_is_left_out():
    result = study_result()
    assert metric_value(result, result.best, "cycles") == "850"
    assert of_baseline(result, result.best, "cycles") == "0.850"
