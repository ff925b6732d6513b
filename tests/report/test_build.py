from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from study_results import measured_result, study_result

from npu_tune.errors import NpuTuneWarning
from npu_tune.report.build import warn_of_difference
from npu_tune.targets import Kind, Metric


def test_where_evaluations_do_not_differ_any_other_metric_is_told():
    result = study_result()
    differing = {**result.best.metrics, "cycles": result.best.metrics["cycles"] + 1}
    with pytest.warns(NpuTuneWarning, match="what trial 2 reported in cycles"):
        warn_of_difference(result, result.best, differing)


def test_where_evaluations_differ_noise_is_not_told():
    result = measured_result()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_difference(result, result.best, {"latency_ms": 8.3})
    with pytest.warns(NpuTuneWarning, match="latency_ms"):
        warn_of_difference(result, result.best, {"latency_ms": 8.6})


def test_before_anything_was_repeated_the_spread_is_what_the_target_expects():
    result = measured_result(())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_difference(result, result.best, {"latency_ms": 7.9})
    with pytest.warns(NpuTuneWarning, match="latency_ms"):
        warn_of_difference(result, result.best, {"latency_ms": 8.3})


def test_what_a_trial_was_evaluated_without_is_no_difference():
    result = study_result()
    extra = Metric("flash_bytes", "bytes", Kind.ESTIMATED, on_request=True)
    lacking = replace(result, metrics=(*result.metrics, extra))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_difference(lacking, result.best, {**result.best.metrics, "flash_bytes": 1.0})
