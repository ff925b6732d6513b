from __future__ import annotations

import re
from dataclasses import replace

from study_results import infeasible_result, study_result

from npu_tune.report.explain import explain_from_records
from npu_tune.report.markdown import report_markdown
from npu_tune.report.sections import Whereabouts


def markdown_of(result, folder):
    return report_markdown(
        result, explain_from_records(result), where=Whereabouts.of(folder, result)
    )


def test_every_table_has_as_many_cells_in_each_row(tmp_path):
    text = markdown_of(study_result(), tmp_path)
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1


def test_names_are_not_taken_for_markup(tmp_path):
    result = replace(study_result(), model="a_b*c|<d>")
    text = markdown_of(result, tmp_path)
    assert text.startswith("# a\\_b\\*c\\|\\<d\\> on toy-1\n")
    assert "| sram\\_bytes | estimated |" in text


def test_commands_stand_in_blocks_that_can_be_copied(tmp_path):
    text = markdown_of(study_result(), tmp_path / "it's")
    (block,) = re.findall(r"```sh\n(npu-tune export.*)\n```", text)
    assert block.endswith("--out deploy")


def test_a_study_without_a_feasible_trial_has_a_report_too(tmp_path):
    assert "No trial meets the limits." in markdown_of(infeasible_result(), tmp_path)
