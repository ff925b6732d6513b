from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from study_results import infeasible_result, measured_result, objective_of, study_result

from npu_tune.report import study_document, study_text

ROOT = Path(__file__).resolve().parents[2]


def test_every_trial_is_counted_exactly_once():
    trials = study_document(study_result(), folder=None)["trials"]
    assert trials == {"finished": 6, "failed": 1, "duplicates": 1, "cached": 0, "planned": 10}


def test_a_duplicate_of_a_failed_trial_counts_as_a_duplicate():
    result = study_result()
    again = replace(result.trials[5], number=8, duplicate_of=5)
    trials = study_document(study_result(again), folder=None)["trials"]
    assert (trials["failed"], trials["duplicates"]) == (1, 2)


def test_the_best_trial_has_its_whole_configuration_and_its_changes():
    best = study_document(study_result(), folder=Path("here"))["best"]
    assert best["trial"] == 2
    assert best["configuration"] == {
        "network/strategy": "Size",
        "conv/ofm_block": "4x4x16",
        "pool/ofm_block": "4x4x8",
    }
    assert best["changes"] == {"network/strategy": "Size", "conv/ofm_block": "4x4x16"}


def test_the_front_holds_whole_trials_in_the_order_of_the_first_metric():
    front = study_document(study_result(), folder=None)["front"]
    assert [trial["trial"] for trial in front] == [1, 2, 3]
    assert front[0]["metrics"]["cycles"] == 800


def test_a_metric_says_all_that_its_target_says_of_it():
    metrics = study_document(study_result(), folder=None)["metrics"]
    assert metrics[1] == {
        "name": "sram_bytes",
        "unit": "bytes",
        "kind": "estimated",
        "description": "peak",
        "goal": None,
        "objective": False,
        "spread": 0.0,
        "stated": None,
        "on_request": False,
    }


def test_without_a_feasible_trial_the_least_infeasible_one_is_there():
    document = study_document(infeasible_result(), folder=None)
    assert document["best"] is None
    assert document["front"] == []
    assert document["least_infeasible"]["trial"] == 3
    assert document["least_infeasible"]["violations"] == {"sram_bytes": 5 * 1024}


def test_a_failure_names_its_class_and_the_configuration():
    (failure,) = study_document(study_result(), folder=None)["failures"]
    assert failure == {
        "trial": 5,
        "class": "compiler-error",
        "message": "block_config does not fit",
        "changes": {"pool/ofm_block": "16x16x8"},
        "duplicate_of": None,
    }


def test_goals_and_lower_bounds_stand_beside_directions_and_limits():
    objective = objective_of(
        "npu_share", directions={"npu_share": "maximize"}, floors={"npu_share": 0.5}
    )
    document = study_document(replace(study_result(), objective=objective), folder=None)
    assert document["directions"] == {"npu_share": "maximize"}
    assert document["floors"] == {"npu_share": 0.5}
    assert document["limits"] == {}
    assert document["goals"] == {
        "cycles": "minimize",
        "sram_bytes": "minimize",
        "npu_share": "maximize",
    }


def test_the_cost_of_a_layer_is_in_cycles_too_where_the_profile_counts_cycles():
    document = study_document(study_result(), folder=None)
    row = next(row for row in document["layers"] if row["layer"] == "conv")
    assert (document["cost_column"], document["cost_unit"]) == ("cycles", "cycles")
    assert (row["cost_before"], row["cost_after"]) == (900, 750)
    assert (row["cycles_before"], row["cycles_after"]) == (900, 750)


def test_the_cost_of_a_layer_in_another_column_is_never_called_cycles():
    document = study_document(measured_result(), folder=None)
    row = next(row for row in document["layers"] if row["layer"] == "conv")
    assert document["cost_column"] == "us"
    assert row["cost_after"] == pytest.approx(900 * 7.7)
    assert row["cycles_after"] is None


def test_where_evaluations_differ_trials_say_how_well_they_are_known():
    document = study_document(measured_result(), folder=None)
    best = document["best"]
    assert not document["deterministic"]
    assert 0.005 < document["spread"]["latency_ms"] < 0.02
    assert best["cost_interval"] == pytest.approx([0.7977, 0.8023], abs=1e-4)
    assert (best["samples"], best["confirmed"]) == (6, True)


def test_an_interval_without_ends_is_null():
    document = study_document(measured_result(()), folder=None)
    assert document["best"]["cost_interval"] is None
    assert json.dumps(document, allow_nan=False)


def test_where_evaluations_do_not_differ_there_is_no_interval():
    document = study_document(study_result(), folder=None)
    assert document["deterministic"]
    assert document["spread"] == {}
    assert document["best"]["cost_interval"] is None
    assert document["best"]["samples"] == 1


def test_every_document_of_a_study_keeps_to_the_schema():
    schema = json.loads((ROOT / "docs/schema/npu-tune-1.schema.json").read_text())
    for result in (study_result(), infeasible_result(), measured_result(), measured_result(())):
        document = {"schema": "npu-tune/1", "command": "show"}
        document |= study_document(result, folder=None)
        Draft202012Validator(schema).validate(document)


def test_configurations_within_the_noise_of_the_best_are_named():
    wide = measured_result((8.0, 8.4, 7.6, 8.3, 7.7, 8.0))
    assert study_document(wide, folder=None)["ties"] == [2]
    assert "As good as the best within the noise: trial 2." in study_text(wide)


def test_a_best_that_stands_alone_ties_with_nothing():
    narrow = measured_result((6.0, 6.01, 5.99, 6.0, 6.01, 5.99))
    assert study_document(narrow, folder=None)["ties"] == []
    assert study_document(measured_result(()), folder=None)["ties"] == []
    assert "within the noise" not in study_text(narrow)
    assert study_document(study_result(), folder=None)["ties"] == []
