from __future__ import annotations

from pathlib import Path

import pytest

from npu_tune.errors import UsageError
from npu_tune.quantities import Bounds, Quantity
from npu_tune.tuning import load_study_file, parse_study, study_file_to_toml

FULL = """
limits = ["sram_bytes <= 256 KiB", "accuracy >= 90 %", "latency_ms <= 300us"]

[study]
name = "first"
seed = 3
evaluations = 100
wall_time = "1h30m"

[model]
path = "nets/model.tflite"

[target]
name = "ethos-u55-128"
memory_mode = "Shared_Sram"
config = "my.ini"

[sampler]
name = "layerwise"
beam_width = 2

[objective]
metrics = ["cycles", "sram_bytes"]
weights = [1, 0.5]
mode = "pareto"

[executor]
kind = "process"
workers = 2
timeout_s = "5m"
"""

LEAST = {"model": {"path": "resnet8"}, "target": {"name": "ethos-u55-128"}}


@pytest.fixture
def study_path(tmp_path: Path) -> Path:
    (tmp_path / "my.ini").touch()
    path = tmp_path / "study.toml"
    path.write_text(FULL)
    return path


def test_a_full_study_file_is_read(study_path):
    study = load_study_file(study_path)

    assert study.name == "first"
    assert study.study.wall_time == 5400
    assert study.limits == {
        "sram_bytes": Bounds(most=Quantity(256, "kib")),
        "accuracy": Bounds(least=Quantity(90, "%")),
        "latency_ms": Bounds(most=Quantity(300, "us")),
    }
    assert study.sampler.options == {"beam_width": 2}
    assert study.objective.weights == (1.0, 0.5)
    assert study.executor.timeout_s == 300


def test_paths_count_from_the_study_files_own_folder(study_path, monkeypatch):
    monkeypatch.chdir("/")

    study = load_study_file(study_path)

    assert study.model.path == str(study_path.parent / "nets/model.tflite")
    assert study.target.options["config"] == str(study_path.parent / "my.ini")
    assert study.target.options["memory_mode"] == "Shared_Sram"
    assert study.folder == study_path.parent / "first"
    assert study.storage == str(study_path.parent / "first" / "ledger.journal")


def test_an_option_that_is_no_finite_number_is_written_as_it_is(study_path):
    document = study_path.read_text().replace(
        "beam_width = 2", "rates = [inf]\nlevel = { a = -inf }"
    )
    study_path.write_text(document)

    written = study_file_to_toml(load_study_file(study_path))

    assert "inf,\n" in written
    assert "a = -inf" in written


@pytest.mark.parametrize("name", [[], {}, [[1]], 3, True])
def test_a_name_that_is_no_text_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"study\.name"):
        parse_study({**LEAST, "study": {"name": name}}, base=tmp_path)


@pytest.mark.parametrize("name", ["../up", "/elsewhere", "a/../../up"])
def test_a_name_alone_leads_no_study_out_of_the_files_folder(tmp_path, name):
    with pytest.raises(UsageError, match="as a folder is not beside the file") as caught:
        parse_study({**LEAST, "study": {"name": name}}, base=tmp_path)
    assert "study.folder" in caught.value.remedy
    named = {"name": name, "folder": "here"}
    assert parse_study({**LEAST, "study": named}, base=tmp_path).folder == tmp_path / "here"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("runs/a.journal", "{base}/runs/a.journal"),
        ("sqlite:///a.db", "sqlite:///{base}/a.db"),
        ("sqlite:////abs/a.db", "sqlite:////abs/a.db"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_a_storage_on_disk_counts_from_the_study_files_folder(tmp_path, storage, expected):
    study = parse_study({**LEAST, "study": {"storage": storage}}, base=tmp_path)

    assert study.storage == expected.format(base=tmp_path)


def test_what_is_written_is_read_back_the_same(study_path):
    study = load_study_file(study_path)
    copy = study_path.with_name("copy.toml")

    copy.write_text(study_file_to_toml(study))

    assert load_study_file(copy) == study


@pytest.mark.parametrize(
    ("written", "bounds"),
    [
        (262144, Bounds(most=Quantity(262144))),
        ("<= 0.3 ms", Bounds(most=Quantity(0.3, "ms"))),
        ("300 us", Bounds(most=Quantity(300, "us"))),
        (">= 90 %", Bounds(least=Quantity(90, "%"))),
        ([">= 0.8", "<= 0.9"], Bounds(most=Quantity(0.9), least=Quantity(0.8))),
    ],
)
def test_limits_in_a_table_are_bounds_both_ways(tmp_path, written, bounds):
    study = parse_study({**LEAST, "limits": {"metric": written}}, base=tmp_path)
    assert study.limits == {"metric": bounds}

    (tmp_path / "copy.toml").write_text(study_file_to_toml(study))
    assert load_study_file(tmp_path / "copy.toml").limits == study.limits


def test_both_limits_of_a_metric_may_stand_in_a_list(tmp_path):
    study = parse_study({**LEAST, "limits": ["a >= 0.8", "a <= 0.9", "b<=3"]}, base=tmp_path)

    assert study.limits == {
        "a": Bounds(most=Quantity(0.9), least=Quantity(0.8)),
        "b": Bounds(most=Quantity(3)),
    }


def test_a_zoo_name_stays_a_name(tmp_path):
    assert parse_study(LEAST, base=tmp_path).model.path == "resnet8"


def test_a_study_without_a_budget_gets_the_default_one(tmp_path):
    assert parse_study(LEAST, base=tmp_path).study.budget == 1500
    timed = parse_study({**LEAST, "study": {"wall_time": "1h"}}, base=tmp_path)
    assert timed.study.budget is None


@pytest.mark.parametrize(
    ("section", "key", "remedy"),
    [
        ({"study": {"sed": 1}}, "study.sed", "Did you mean 'seed'"),
        ({"modle": {}}, "modle", "Did you mean 'model'"),
        ({"executor": {"worker": 2}}, "executor.worker", "Did you mean 'workers'"),
        ({"study": {"seed": "1"}}, "study.seed", "integer"),
        ({"study": {"seed": True}}, "study.seed", "integer"),
        ({"study": {"evaluations": 0}}, "study.evaluations", "greater than 0"),
        ({"study": {"wall_time": "2 parsec"}}, "study.wall_time", "such as 90s"),
        ({"executor": {"kind": "proces"}}, "executor.kind", "'process'"),
        ({"objective": {"mode": "paretto"}}, "objective.mode", "Did you mean 'pareto'"),
        ({"limits": {"sram_bytes": "much"}}, "limits", "256 KiB|B, kB"),
        ({"limits": {"sram_bytes": True}}, "limits", "True is no limit; write a number"),
        ({"limits": {"sram_bytes": [3, "<= 4"]}}, "limits", "no limit; write a number"),
        ({"limits": ["sram_bytes > 3"]}, "limits", ">= for a lower"),
        ({"limits": ["sram_bytes <= 3", "sram_bytes <= 4"]}, "limits", "two limits"),
        ({"limits": {"sram_bytes": ["<= 3", "4"]}}, "limits", "two limits"),
        ({"objective": {"metrics": ["a", "a"]}}, "objective", "twice"),
        ({"objective": {"metrics": ["a"], "weights": [1, 2]}}, "objective", "one weight"),
        ({"objective": {"metrics": []}}, "objective.metrics", "must not be empty"),
        ({"objective": {"directions": {"a": "up"}}}, "objective.directions.a", "'maximize'"),
        ({"executor": {"kind": "inline", "workers": 2}}, "executor", "kind = 'process'"),
        ({"executor": {"address": "auto"}}, "executor", "'ray' only"),
    ],
)
def test_a_bad_key_is_named_with_its_remedy(tmp_path, section, key, remedy):
    with pytest.raises(UsageError, match=remedy) as caught:
        parse_study({**LEAST, **section}, base=tmp_path, source="my.toml")

    assert repr(key) in caught.value.message
    assert caught.value.message.startswith("my.toml: ")
    assert caught.value.data["key"] == key


@pytest.mark.parametrize("missing", ["model", "target"])
def test_a_missing_section_is_named(tmp_path, missing):
    document = {key: value for key, value in LEAST.items() if key != missing}

    with pytest.raises(UsageError, match=f"'{missing}' is missing"):
        parse_study(document, base=tmp_path)


def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("[study\nname=3")

    with pytest.raises(UsageError, match="line 1"):
        load_study_file(path)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load_study_file(tmp_path / "none.toml")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_limit_is_a_finite_number(tmp_path, value):
    with pytest.raises(UsageError, match="limit"):
        parse_study({**LEAST, "limits": {"metric": value}}, base=tmp_path)


@pytest.mark.parametrize("name", ["a\0b", ".", "..", ""])
def test_a_study_has_a_name_that_a_folder_can_have(tmp_path, name):
    with pytest.raises(UsageError, match=r"study\.name"):
        parse_study({**LEAST, "study": {"name": name}}, base=tmp_path)


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "a = " + "1" * 5000])
def test_what_the_parser_gives_up_on_is_no_toml(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="is not TOML"):
        load_study_file(path)


def test_words_too_long_for_a_file_stay_what_they_are(tmp_path):
    word = "x" * 5000
    document = {"model": {"path": word}, "target": {"name": "ethos-u55-128", "config": word}}
    study = parse_study(document, base=tmp_path)
    assert (study.model.path, study.target.options["config"]) == (word, word)
