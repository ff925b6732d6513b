from __future__ import annotations

from dataclasses import replace

import pytest
from fake_studies import run_fake
from study_results import infeasible_result, measured_result, study_result

from npu_tune.report.explain import explain, explain_from_records, pool_peaks
from npu_tune.targets import MemoryBuffer, MemoryTimeline

TIMELINE = MemoryTimeline(
    ("conv1", "conv2"),
    (
        MemoryBuffer("image", "", "SRAM", 0, 1024, 0, 0),
        MemoryBuffer("map1", "conv1", "SRAM", 1024, 3072, 0, 1),
        MemoryBuffer("map2", "conv2", "SRAM", 0, 512, 1, 1),
    ),
)


def test_a_peak_is_told_with_the_maps_that_make_it():
    (peak,) = pool_peaks(TIMELINE)
    assert peak.sentence == (
        "SRAM is fullest in conv1, with 4.0 KiB in use: map1 (3.0 KiB), image (1.0 KiB)."
    )
    many = [MemoryBuffer(f"m{n}", "", "SRAM", 4096 * n, 1024 * (9 - n), 0, 1) for n in range(1, 7)]
    (peak,) = pool_peaks(replace(TIMELINE, buffers=tuple(many)))
    assert peak.sentence.endswith(
        "m1 (8.0 KiB), m2 (7.0 KiB), m3 (6.0 KiB), m4 (5.0 KiB) and 2 more."
    )


def test_there_is_nothing_to_explain_where_no_trial_meets_the_limits(tmp_path):
    assert explain_from_records(infeasible_result()) is None
    assert explain(tmp_path, infeasible_result()) is None


def test_trials_alone_explain_what_they_can():
    explanation = explain_from_records(study_result())
    assert [gain.label for gain in explanation.leading] == ["conv/ofm_block"]
    assert explanation.unknown_gains == 1
    assert explanation.memory_after is None
    assert explanation.peaks == ()


def test_a_measured_study_is_explained_without_its_model(tmp_path):
    explanation = explain(tmp_path, measured_result())
    assert explanation.shortfall == ""
    assert [gain.label for gain in explanation.leading] == ["conv/ofm_block"]


def test_a_study_whose_target_is_gone_is_explained_as_far_as_it_knows(tmp_path):
    folder = tmp_path / "s"
    result = run_fake(folder, 20)
    explanation = explain(folder, result)
    assert explanation.shortfall.startswith("The network could not be compiled again: ")
    assert explanation.layers


@pytest.mark.slow
def test_every_change_and_the_memory_of_a_real_study_are_explained(resnet8_study):
    folder, result = resnet8_study
    explanation = explain(folder, result, seconds=600)
    assert explanation.shortfall == ""
    assert explanation.unknown_gains == 0
    used = explanation.memory_after.used_bytes("SRAM")
    assert used == result.best.metrics["sram_bytes"]
    assert explanation.memory_before.used_bytes("SRAM") == result.baseline.metrics["sram_bytes"]
