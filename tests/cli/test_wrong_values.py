"""Whatever is wrong is called by what a person typed: a flag, or a key of a study file."""

from __future__ import annotations

import re

import pytest
from click import Option

from npu_tune.cli.tune import tune
from npu_tune.tuning import StudyFile

WRONG = {
    "--target": ["nowhere"],
    "--option": ["nothing", "unknown=2"],
    "--study": ["taken/s"],
    "--evaluations": ["0", "-3", "many"],
    "--wall-time": ["soon", "-3s", "0"],
    "--workers": ["0", "few"],
    "--timeout": ["0", "later"],
    "--seed": ["-1", "luck", str(2**40)],
    "--sampler": ["anealing"],
    "--polish": [None],
    "--objective": ["cycels", "cycles,cycles", "cycles=-1", "cycles=x", ","],
    "--mode": ["paretto"],
    "--maximize": ["cycels"],
    "--limit": ["cycels<=3", "cycles<=3 ms", "cycles<3", "nonsense", "cycles<=1,000"],
    "--calibration": ["nowhere.npz"],
    "--storage": ["oracle://host/db", "sqlite:///:memory:", "taken/db"],
    "--cache": ["taken/cache"],
    "--from": ["nowhere"],
    "--memory-limit": ["much", "1 MiB"],
    "--start-timeout": ["0", "later", "60"],
    "--num-cpus": ["0", "2"],
    "--memory": ["much", "1 GiB"],
    "--resources": ["board", '{"board": 0}', '{"board": 1}'],
    "--runtime-env-json": ["npu-tune", '"npu-tune"', '{"pip": ["npu-tune"]}'],
}
"""By option of `tune`, values that make no sense; None for a switch."""

CANNOT_BE_WRONG = {"--no-check", "--no-cache", "--quiet", "--json", "--help"}

NEEDS_A_CLUSTER = {"--ray"}


def options():
    return {
        next(name for name in each.opts if name.startswith("--"))
        for each in tune.params
        if isinstance(each, Option)
    }


def test_every_option_of_tune_is_tried():
    assert options() == {*WRONG, *NEEDS_A_CLUSTER, *CANNOT_BE_WRONG} - {"--help"}


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_called_by_its_flag_and_by_no_key_of_a_study_file(
    npu_tune, here, flag, value
):
    (here / "taken").write_text("a file")
    given = {"--target": "fake-npu", "--workers": "1", "--evaluations": "2", "--study": "s"}
    more = {"--polish": {"--mode": "pareto"}}
    given |= more.get(flag, {}) | {flag: value}
    words = [word for name, text in given.items() for word in (name, text) if word is not None]
    ended = npu_tune("tune", "ds-cnn", *words)
    assert ended.code in {2, 3, 4, 7}, ended.err
    said = ended.err.splitlines()[-1]
    named = "-O" if flag == "--option" else flag
    assert re.search(rf"(?<![\w-]){named}(?![\w-])", said), said
    assert not re.search(r"\[(study|model|target|sampler|objective|limits|executor)\]", said), said
    assert not re.search(r"\bkey\b|(study|model|sampler|objective|executor)\.\w", said), said


WRONG_KEYS = {
    "target.name": ['"nowhere"'],
    "model.path": ['""'],
    "model.calibration": ['"nowhere.npz"'],
    "model.check": ['"perhaps"'],
    "study.name": ['""'],
    "study.folder": ['"taken/s"'],
    "study.storage": ['"oracle://host/db"', '"sqlite:///:memory:"', '"taken/db"'],
    "study.storage_retry": ['"soon"', "-1"],
    "study.cache": ['"taken/cache"', "true"],
    "study.from": ['["nowhere"]', '"nowhere"'],
    "study.seed": ["-1", '"luck"'],
    "study.evaluations": ["0", '"many"'],
    "study.wall_time": ['"soon"', "0"],
    "study.duplicates_in_a_row": ["0"],
    "study.polish": ["0", '"perhaps"'],
    "sampler.name": ['"anealing"'],
    "objective.metrics": ['["cycels"]', "[]"],
    "objective.weights": ["[-1, 2]"],
    "objective.directions": ['{ cycels = "maximize" }'],
    "objective.mode": ['"paretto"'],
    "limits.cycels": ["3"],
    "limits.cycles": ['"<= 3 ms"', '"< 3"'],
    "executor.kind": ['"clowd"'],
    "executor.workers": ["0"],
    "executor.timeout_s": ["0", '"later"'],
    "executor.address": ['"auto"'],
    "executor.memory_limit": ['"much"', '"1 MiB"'],
    "executor.start_timeout_s": ["0", '"later"', "60"],
    "executor.num_cpus": ["0", "2"],
    "executor.memory": ['"much"', '"1 GiB"'],
    "executor.resources": ["{ board = 0 }", "{ board = 1 }"],
    "executor.runtime_env": ['"npu-tune"', '{ pip = ["npu-tune"] }'],
}
"""By key of a study file, values that make no sense, as TOML."""


def test_every_key_of_a_study_file_is_tried():
    keys = {
        f"{section}.{own.alias or key}"
        for section, field in StudyFile.model_fields.items()
        for key, own in getattr(field.annotation, "model_fields", {}).items()
    }
    assert {key for key in WRONG_KEYS if not key.startswith("limits.")} == keys


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG_KEYS.items() for value in values]
)
def test_a_wrong_value_in_a_study_file_is_called_by_its_key_and_by_no_flag(
    npu_tune, here, key, value
):
    (here / "taken").write_text("a file")
    tables = {
        "model": {"path": '"ds-cnn"'},
        "target": {"name": '"fake-npu"'},
        "study": {"evaluations": "2", "folder": '"s"'},
        "objective": {"metrics": '["cycles", "sram_bytes"]'},
        "executor": {"workers": "1"},
    }
    section, _, name = key.partition(".")
    tables[section] = tables.get(section, {}) | {name: value}
    text = "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in table.items())
        for section, table in tables.items()
    )
    (here / "study.toml").write_text(text)
    ended = npu_tune("run", "study.toml")
    assert ended.code in {2, 3, 4, 7}, ended.err
    said = ended.err.splitlines()[-1]
    # What is wrong between two keys of a table is a matter of the table.
    called = [key, section] if section in {"limits", "executor"} else [key]
    assert any(re.search(rf"\bkey '{each}'|\bkeys? .*{each}", said) for each in called), said
    assert not re.search(r"(?<![\w-])--\w", said), said
