from __future__ import annotations

from dataclasses import replace

import pytest
from study_results import study_result, trial

from npu_tune.report.documents import study_document
from npu_tune.report.predictions import prediction_errors, predictions_line
from npu_tune.report.text import study_text


def _result():
    return study_result(
        replace(trial(8, 1000, 100), predicted=0.98),
        replace(trial(9, 1000, 100), predicted=1.06),
        replace(trial(10, 1000, 100), predicted=1.01),
    )


def test_errors_are_shares_of_what_was_measured():
    errors = prediction_errors(_result())
    assert errors.trials == 3
    assert errors.median == pytest.approx(0.02)
    assert errors.worst == pytest.approx(0.06)


def test_the_report_says_in_one_line_how_well_predictions_held():
    line = "Predicted offline, then measured: 3 trials, median error 2.0 %, worst 6.0 %"
    assert predictions_line(_result()) == line
    assert line in study_text(_result())
    assert study_document(_result(), folder=None)["predictions"]["trials"] == 3


def test_without_predictions_nothing_is_said():
    assert prediction_errors(study_result()) is None
    assert "Predicted" not in study_text(study_result())
    assert study_document(study_result(), folder=None)["predictions"] is None
