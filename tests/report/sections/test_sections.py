from __future__ import annotations

from dataclasses import replace

from fake_studies import run_fake
from study_results import full_cycles_result, infeasible_result, study_result

from npu_tune.report.explain import Explanation, explain_from_records, layer_costs
from npu_tune.report.sections import Whereabouts, report_sections
from npu_tune.report.sections.cells import change_cell, number_cell
from npu_tune.report.sections.text import section_text
from npu_tune.report.sections.why import memory_section
from npu_tune.targets import Goal, MemoryBuffer, MemoryTimeline


def sections_of(result, folder):
    found = report_sections(
        result, explain_from_records(result), where=Whereabouts.of(folder, result)
    )
    return {section.key: section for section in found}


def texts(section):
    return [[cell.text for cell in row] for row in section.table.rows]


def test_a_report_answers_in_the_order_of_what_people_ask_first(tmp_path):
    assert list(sections_of(study_result(), tmp_path)) == [
        "verdict", "file", "changes", "layers", "front", "search", "failures", "provenance",
    ]  # fmt: skip


def test_the_verdict_compares_every_metric_with_the_default(tmp_path):
    verdict = sections_of(study_result(), tmp_path)["verdict"]
    assert verdict.sentences[0] == (
        "tiny on toy-1: cycles 1,000 -> 850, sram_bytes 100.0 KiB -> 60.0 KiB."
    )
    assert verdict.table.columns == ("metric", "kind", "default", "chosen", "change")
    assert texts(verdict)[:2] == [
        ["cycles", "estimated", "1,000", "850", "-15.0 %"],
        ["sram_bytes", "estimated", "100.0 KiB", "60.0 KiB", "-40.0 %"],
    ]
    assert texts(verdict)[-1] == ["cost", "", "1.0000", "0.7250", "-27.5 %"]


def test_changes_and_layers_lead_to_the_rows_of_layers(tmp_path):
    found = sections_of(study_result(), tmp_path)
    assert found["layers"].table.layers == ("conv", "pool")
    assert [row[0].layer for row in found["changes"].table.rows] == ["conv", "network"]
    assert texts(found["changes"])[0] == [
        "conv/ofm_block",
        "8x8x16",
        "4x4x16",
        "0.8250",
        "10.00",
        "",
    ]
    assert texts(found["changes"])[1][3] == "not asked"
    assert "1 rows were never asked" in " ".join(found["changes"].sentences)


def test_failures_are_counted_by_what_they_say(tmp_path):
    failures = sections_of(study_result(), tmp_path)["failures"]
    assert texts(failures) == [["compiler-error", "1", "5", "block_config does not fit"]]


def test_a_study_without_a_feasible_trial_says_so_and_shows_what_there_is(tmp_path):
    found = sections_of(infeasible_result(), tmp_path)
    assert found["verdict"].sentences == ("No trial meets the limits.",)
    assert not {"file", "changes", "layers", "memory", "front"} & found.keys()
    assert found["failures"].table.rows


def test_a_metric_of_which_more_is_better_gets_worse_by_less_of_it():
    assert change_cell(2.0, 1.0, Goal.MAXIMIZE).tone == "worse"
    assert change_cell(2.0, 1.0, Goal.MINIMIZE).tone == "better"
    assert change_cell(2.0, 1.0, "").tone == ""
    assert change_cell(2.0, 2.0, Goal.MINIMIZE).text == "0 %"
    assert change_cell(0.0, 2.0, Goal.MINIMIZE).text == "new"
    assert change_cell(None, 2.0, Goal.MINIMIZE).text == ""
    assert number_cell(None, "").text == "-"


def test_the_memory_is_told_by_pool_with_its_size():
    result = study_result()
    before = MemoryTimeline(
        ("a",), (MemoryBuffer("x", "a", "SRAM", 0, 2048, 0, 0),), {"SRAM": 4096}
    )
    after = MemoryTimeline(
        ("a",), (MemoryBuffer("x", "a", "SRAM", 0, 1024, 0, 0),), {"SRAM": 4096}
    )
    best = result.best
    section = memory_section(
        Explanation(result, best, (), layer_costs(result, best), before, after)
    )
    assert texts(section) == [["SRAM", "2.0 KiB", "1.0 KiB", "-50.0 %", "4.0 KiB"]]
    assert section.sentences == ("SRAM is fullest in a, with 1.0 KiB in use: x (1.0 KiB).",)


def test_a_study_says_what_it_comes_from_and_what_makes_it_again(tmp_path):
    folder = tmp_path / "s"
    storage = f"sqlite:///{tmp_path}/trials.db"
    result = run_fake(folder, 20, study={"storage": storage})
    provenance = sections_of(result, folder)["provenance"]
    facts = {row[0].text: row[1].text for row in provenance.table.rows}
    assert facts["model"].endswith(result.identity.model_sha256)
    assert facts["sampler from trial 0"] == "random, seed 0"
    assert provenance.commands[0] == f"npu-tune run {folder}/study.toml"
    assert "evaluations = 20" in provenance.listing
    # It may hold a password, and means nothing to others.
    assert "sqlite" not in provenance.listing


def test_metrics_that_complete_what_a_vendor_states_stand_in_the_front_too(tmp_path):
    front = sections_of(full_cycles_result(), tmp_path)["front"]
    assert front.table.columns[:6] == (
        "trial", "full_cycles", "of default", "sram_bytes", "of default", "cycles",
    )  # fmt: skip


def test_a_section_is_shortened_for_a_terminal_and_says_so(tmp_path):
    section = sections_of(study_result(), tmp_path)["layers"]
    text = section_text(section, columns=("layer", "share", "no such"), most_rows=1)
    assert text.splitlines()[-3:] == [
        "layer  share",
        "conv   88.2%",
        "(1 more; `npu-tune report` has them all)",
    ]
    whole = section_text(section, columns=("layer",), most_rows=9)
    assert whole.splitlines()[-1] == "pool"
    assert section_text(replace(section, table=None), columns=(), most_rows=1).startswith("Where")
