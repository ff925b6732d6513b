"""A program of somebody else, from the search to the exported file."""

from __future__ import annotations

import json
import sys

import pytest
import tomli_w
from command_cases import PROGRAM, command_table, write_command
from fake_targets import is_running
from measured_cases import separable_network


@pytest.fixture
def model(here):
    path = here / "small.onnx"
    path.write_bytes(separable_network().model_bytes)
    return path


def test_a_network_is_tuned_resumed_and_exported_by_a_command(npu_tune, model, here):
    command = (
        "tune",
        model,
        "--target",
        "command",
        "--command",
        here / "lab.toml",
        "--study",
        "s",
    )
    (here / "program.py").write_bytes(PROGRAM.read_bytes())
    write_command(here / "lab.toml", command_table(argv=[sys.executable, "program.py"]))
    first = npu_tune(*command, "--evaluations", 6, "--json")
    assert first.code == 0, first.err
    assert (
        first.document["best"]["metrics"]["total_cycles"]
        < (first.document["baseline"]["metrics"]["total_cycles"])
    )
    more = npu_tune(*command, "--evaluations", 9, "--json")
    assert more.code == 0, more.err
    assert more.document["trials"]["finished"] == 9
    exported = npu_tune("export", "s", "--out", "out", "--json")
    assert exported.code == 0, exported.err
    built = here / "out" / "compiled.bin"
    assert built.read_bytes() == model.read_bytes()[:10]
    said = json.loads((here / "out" / "configuration.json").read_text())
    assert said["command"].endswith("program.py")


def test_a_study_file_may_hold_the_table_and_its_files_count_from_there(npu_tune, model, here):
    (here / "lab").mkdir()
    (here / "lab" / "program.py").write_bytes(PROGRAM.read_bytes())
    table = command_table(argv=[sys.executable, "program.py"])
    study = {
        "model": {"path": str(model)},
        "target": {"name": "command", "command": table},
        "study": {"folder": "s", "evaluations": 3},
    }
    (here / "lab" / "study.toml").write_text(tomli_w.dumps(study))
    ended = npu_tune("run", here / "lab" / "study.toml", "--json")
    assert ended.code == 0, ended.err
    again = npu_tune("run", here / "lab" / "s" / "study.toml", "--json")
    assert again.code == 0, again.err
    assert again.document["trials"]["finished"] == 3


def test_failures_of_the_program_are_counted_by_class_and_the_study_goes_on(npu_tune, model, here):
    table = command_table("exit-1", "illegal", "metric-less", exit_codes={"1": "crash"})
    write_command(here / "lab.toml", table)
    ended = npu_tune(
        "tune", model, "--target", "command", "--command", "lab.toml", "--study", "s",
        "--evaluations", 25, "--sampler", "random", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    trials = ended.document["trials"]
    assert trials["finished"] + trials["failed"] == 25
    failures = {each["class"] for each in ended.document["failures"]}
    assert failures == {"crash", "illegal", "compiler-error"}


@pytest.mark.parametrize(
    "case",
    [
        ({"argv": ["no-such-compiler"]}, 4, "no-such-compiler"),
        ({"argv": [sys.executable, "-c", "print('cycles: 7')"]}, 10, "no JSON object"),
        ({"argv": [sys.executable, "-c", "raise SystemExit('licence expired')"]}, 10, "licence"),
        ({"knobs": [{"name": "b", "layers": "conv9", "values": [1], "default": 1}]}, 4, "conv9"),
        ({"knobs": [{"name": "b", "values": [], "default": 1}]}, 4, "values"),
        ({"formats": ["tosa"]}, 3, "tosa"),
    ],
)
def test_a_command_that_cannot_be_is_one_clear_sentence(npu_tune, model, here, case):
    changes, code, said = case
    write_command(here / "lab.toml", command_table(**changes))
    ended = npu_tune(
        "tune", model, "--target", "command", "--command", "lab.toml", "--evaluations", 3,
        "--study", "s",
    )  # fmt: skip
    assert ended.code == code, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_program_that_hangs_ends_with_its_worker_and_the_study_goes_on(
    npu_tune, model, here, monkeypatch
):
    monkeypatch.setenv("PIDS", str(here / "pids"))
    hanging = {
        "name": "act",
        "layers": "network",
        "values": ["answer", "hang"],
        "default": "answer",
    }
    write_command(here / "lab.toml", command_table(knobs=[hanging]))
    ended = npu_tune(
        "tune", model, "--target", "command", "--command", "lab.toml", "--study", "s",
        "--evaluations", 2, "--sampler", "random", "--timeout", "2s", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert [each["class"] for each in ended.document["failures"]] == ["timeout"]
    left = [int(line) for line in (here / "pids").read_text().split()]
    assert left
    assert not any(is_running(pid) for pid in left)


def test_a_program_that_answers_otherwise_every_time_is_warned_of(npu_tune, model, here):
    (here / "count.py").write_text(
        "import json, pathlib\n"
        f"path = pathlib.Path({str(here / 'count')!r})\n"
        "count = len(path.read_text()) if path.exists() else 0\n"
        "path.write_text('x' * (count + 1))\n"
        "print(json.dumps({'metrics': {'total_cycles': 100 + count, 'accuracy': 1}}))\n"
    )
    table = command_table(argv=[sys.executable, "count.py"], profile=None, at_a_time=1)
    write_command(here / "lab.toml", table)
    ended = npu_tune(
        "tune", model, "--target", "command", "--command", "lab.toml", "--study", "s",
        "--evaluations", 4, "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "The baseline evaluated again differs" in ended.err
