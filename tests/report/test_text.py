from __future__ import annotations

from dataclasses import replace

from study_results import (
    METRICS,
    full_cycles_result,
    infeasible_result,
    measured_result,
    objective_of,
    study_result,
    trial,
)

from npu_tune.columns import columns_of
from npu_tune.report import study_text
from npu_tune.report.text import MOST_FRONT_ROWS
from npu_tune.report.verdict import in_return_line
from npu_tune.targets import Goal, ProfileSchema


def test_the_report_states_the_best_beside_baseline_and_references_with_the_kind():
    text = study_text(study_result())
    assert "Study tiny-study: tiny on toy-1" in text
    assert "6 evaluated, 1 failed of 10 planned; 1 duplicates" in text
    header = next(line for line in text.splitlines() if line.startswith("metric"))
    assert header.split("  ")[-1] == "other core"
    row = next(line for line in text.splitlines() if line.startswith("cycles"))
    assert row.split() == ["cycles", "estimated", "850", "0.850", "1,000", "820"]
    cost = next(line for line in text.splitlines() if line.startswith("cost"))
    assert cost.split() == ["cost", "0.7250", "1.0000", "0.9100"]


def test_the_report_says_which_references_are_beaten_and_which_are_not():
    text = study_text(study_result())
    assert "Beats baseline. Does not beat other core: it is better in cycles." in text


def test_the_report_says_when_both_references_are_beaten():
    text = study_text(study_result(trial(8, 700, 50)))
    assert "Beats both baseline and other core" in text


def test_the_report_says_which_reference_costs_less_than_the_best_trial():
    cheap = {"cycles": 820.0, "sram_bytes": 50.0 * 1024}
    text = study_text(
        replace(study_result(), references={"cheap": cheap, "dear": {**cheap, "cycles": 9e9}})
    )
    assert "cheap costs less than the best trial: 0.6600." in text
    assert "dear costs less" not in text
    assert "costs less" not in study_text(study_result())


def test_the_report_says_what_got_worse_in_return():
    assert "In return" not in study_text(study_result())
    best = {"cycles": 800.0, "sram_bytes": 50.0 * 1024}
    share = replace(METRICS[2], goal=Goal.MAXIMIZE)
    for value, said in ((0.5, "-50.0 %"), (0.996, ""), (1.0, ""), (1.2, "")):
        better = replace(trial(8, 800, 50), metrics={**best, "npu_share": value})
        result = replace(study_result(better), metrics=(*METRICS[:2], share))
        text = study_text(result)
        assert ("In return" in text) == bool(said), value
        assert f"In return: npu_share {said}." in text or not said
        unstated = replace(result, metrics=METRICS)
        assert "In return" not in study_text(unstated)


def test_what_got_worse_by_much_is_told_as_a_factor():
    best = trial(8, 1780, 10)
    cycles = replace(METRICS[0], goal=Goal.MINIMIZE)
    result = replace(
        study_result(best), objective=objective_of("sram_bytes"), metrics=(cycles, *METRICS[1:])
    )
    assert in_return_line(result, best) == "In return: cycles 1.78x."


def test_the_layers_table_shows_choices_and_cycles_before_and_after():
    text = study_text(study_result()).split("\nLayers that trial 2 changes")[1]
    line = next(line for line in text.splitlines() if line.startswith("conv"))
    assert line.split() == ["conv", "ofm_block", "8x8x16", "->", "4x4x16", "900", "750", "0.833"]


def test_unchanged_layers_are_left_out():
    assert "\npool" not in study_text(study_result()).split("\nLayers that trial 2 changes")[1]


def test_the_report_says_why_the_best_is_better_as_far_as_the_trials_know():
    text = study_text(study_result())
    assert "What matters most: conv/ofm_block (10.00)." in text
    assert "conv takes 88% of the time." in text
    assert "What matters most" not in study_text(study_result(), layers=False)


def test_failures_are_counted_by_class_and_message_with_the_first_trial():
    again = replace(study_result().trials[5], number=8)
    other = replace(again, number=9, failure="timeout", message="300 s")
    text = study_text(study_result(again, other))
    assert "Failures (3 trials)" in text
    assert "2 x compiler-error, first in trial 5: block_config does not fit" in text
    assert "1 x timeout, first in trial 9: 300 s" in text


def test_without_a_feasible_trial_the_least_infeasible_one_is_described():
    text = study_text(infeasible_result())
    assert "No trial meets the limits; trial 3 comes closest" in text
    assert "sram_bytes is 55.0 KiB, 5.0 KiB above the limit" in text


def test_an_empty_study_is_reported_as_such():
    text = study_text(replace(study_result(), trials=()))
    assert "Nothing has been evaluated yet." in text


def test_a_long_front_is_thinned_and_keeps_its_ends_and_its_knee():
    more = [trial(10 + i, 799 - i, 101 + i) for i in range(200)]
    text = study_text(study_result(*more))
    front = (
        text.partition("Front (203 trials; ratios are to the baseline)\n")[2]
        .partition("\n\n")[0]
        .splitlines()
    )
    numbers = [line.split()[0] for line in front[1:-1]]
    assert len(numbers) == MOST_FRONT_ROWS
    assert (numbers[0], numbers[-1]) == ("209", "3")
    assert sum("knee" in line for line in front) == 1
    assert front[-1] == f"({203 - MOST_FRONT_ROWS} more; --json has them all)"


def test_the_metric_that_vendors_state_stands_beside_the_one_that_completes_it_in_the_front():
    text = study_text(full_cycles_result())
    header = next(line for line in text.splitlines() if line.startswith("trial "))
    assert header.split() == [
        "trial",
        "full_cycles",
        "ratio",
        "sram_bytes",
        "ratio",
        "cycles",
        "cost",
    ]
    assert "(better or equal in cycles and sram_bytes)" in text


def test_the_heading_shows_goals_and_both_kinds_of_limits():
    objective = objective_of(
        "cycles",
        "npu_share",
        directions={"cycles": "minimize", "npu_share": "maximize"},
        limits={"sram_bytes": 70 * 1024},
        floors={"npu_share": 0.9},
    )
    text = study_text(replace(study_result(), objective=objective))
    words = " ".join(text.split())
    assert "Objective: 0.5 x cycles, 0.5 x npu_share (more is better), each" in words
    assert "against the baseline; sram_bytes <= 70.0 KiB, npu_share >= 0.9 metric" in words


def test_a_value_below_its_lower_limit_is_said_to_be_below():
    low = replace(trial(0, 1000, 100), violations={"npu_share": 0.25})
    objective = objective_of("cycles", floors={"npu_share": 1.25})
    text = study_text(replace(study_result(), trials=(low,), objective=objective))
    assert "npu_share is 1, 0.25 below the limit" in text


def test_where_evaluations_differ_the_best_has_an_interval_and_what_it_rests_on():
    text = study_text(measured_result())
    assert "\nCost 0.800 (0.798 to 0.802, 6 evaluations).\n" in text
    assert "Beats baseline (better or equal in latency_ms)." in text


def test_before_anything_was_repeated_there_is_no_interval():
    text = study_text(measured_result((), vendor=7.8))
    assert "0.770 (no interval yet, 1 evaluation)" in text
    assert "Beats baseline. Ties with vendor: the difference in cost may be noise." in text


def test_where_evaluations_differ_the_front_says_what_each_trial_rests_on():
    text = study_text(measured_result())
    header, row = text.partition("Front (1 trials; ratios are to the baseline)\n")[2].splitlines()[
        :2
    ]
    assert header.split()[-1] == "evaluations"
    assert row.split()[-3:] == ["6", "best,", "knee"]


def test_the_layers_table_names_the_column_of_the_profile_and_its_unit():
    result = study_result()
    assert "Layers that trial 2 changes (cycles, estimated)" in study_text(result)
    assert "changes (us, measured)" in study_text(measured_result())
    timed = replace(result, profile=ProfileSchema("time", "us"))
    assert "changes (time in us, estimated)" in study_text(timed)


LABELS = [f"Vela C++ core, Size (same estimate, {n} of 97 operators)" for n in range(90, 94)]


def test_nothing_is_wider_than_eighty_columns_however_long_the_names_of_references_are():
    references = {label: {"cycles": 820.0, "sram_bytes": 100.0 * 1024} for label in LABELS}
    text = study_text(replace(study_result(), references=references))
    assert max(map(len, text.splitlines())) <= 80
    for number, label in enumerate(LABELS, 1):
        assert f"[{number}] {label}" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("cycles")]
    assert sum(row.count("820") for row in rows) == len(LABELS)


def test_a_wide_terminal_has_room_for_the_names_of_references():
    references = {label: {"cycles": 820.0, "sram_bytes": 100.0 * 1024} for label in LABELS}
    with columns_of(400):
        text = study_text(replace(study_result(), references=references))
    header = next(line for line in text.splitlines() if line.startswith("metric"))
    assert all(label in header for label in LABELS)
    assert "[1]" not in text
