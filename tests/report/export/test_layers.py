from __future__ import annotations

import csv
import io
from dataclasses import replace

from study_results import study_result

from npu_tune.report.export.layers import layers_csv
from npu_tune.targets import ProfileSchema


def rows_of(text: str) -> dict[str, dict[str, str]]:
    return {row["layer"]: row for row in csv.DictReader(io.StringIO(text))}


def result_with(before: dict, after: dict, schema: ProfileSchema):
    """A study whose baseline and best have these profiles."""
    result = study_result()
    profiles = {result.baseline.number: before, result.best.number: after}
    trials = tuple(
        replace(trial, profile=profiles.get(trial.number, {})) for trial in result.trials
    )
    return replace(result, trials=trials, profile=schema)


SCHEMA = ProfileSchema(cost="cycles", causes={"npu": "compute", "bus": "flash"})


def test_every_column_stands_before_and_after_with_its_share_and_what_bounds_it():
    result = result_with(
        {"a": {"cycles": 30.0, "npu": 30.0, "bus": 5.0}, "b": {"cycles": 10.0}},
        {"a": {"cycles": 12.5, "npu": 4.0, "bus": 12.5}, "b": {"cycles": 12.5}},
        SCHEMA,
    )
    rows = rows_of(layers_csv(result, result.best))
    assert rows["a"]["cycles_before"] == "30"
    assert rows["a"]["cycles_after"] == "12.5"
    assert rows["a"]["share_before"] == "0.75"
    assert rows["a"]["share_after"] == "0.5"
    assert (rows["a"]["bound_by_before"], rows["a"]["bound_by_after"]) == ("compute", "flash")
    assert rows["b"]["npu_before"] == rows["b"]["bound_by_after"] == ""


def test_a_layer_that_is_in_one_profile_only_has_no_figures_of_the_other():
    result = result_with({"a": {"cycles": 1.0}}, {"new": {"cycles": 2.0}}, SCHEMA)
    rows = rows_of(layers_csv(result, result.best))
    assert (rows["a"]["cycles_before"], rows["a"]["cycles_after"]) == ("1", "")
    assert (rows["new"]["cycles_before"], rows["new"]["cycles_after"]) == ("", "2")


def test_changes_name_the_knob_and_both_values():
    result = study_result()
    rows = rows_of(layers_csv(result, result.best))
    changed = {name: row["changes"] for name, row in rows.items() if row["changes"]}
    for full_name, value in result.best.configuration.difference(result.default).items():
        layer, _, knob = full_name.rpartition("/")
        assert f"{knob}: {result.default[full_name]} -> {value}" in changed[layer]


def test_without_a_profile_there_are_still_the_changes():
    result = result_with({}, {}, SCHEMA)
    rows = rows_of(layers_csv(result, result.best))
    assert any(row["changes"] for row in rows.values())
    assert list(next(iter(rows.values()))) == [
        "layer", "changes", "share_before", "share_after", "bound_by_before", "bound_by_after",
    ]  # fmt: skip
