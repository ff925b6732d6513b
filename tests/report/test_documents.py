from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from study_results import infeasible_result, study_result

from npu_tune.report import study_document


def test_every_trial_is_counted_exactly_once():
    trials = study_document(study_result(), folder=None)["trials"]
    assert trials == {"finished": 6, "failed": 1, "duplicates": 1, "planned": 10}


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


def test_a_metric_says_unit_and_kind():
    metrics = study_document(study_result(), folder=None)["metrics"]
    assert metrics[1] == {
        "name": "sram_bytes",
        "unit": "bytes",
        "kind": "estimated",
        "description": "peak",
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
