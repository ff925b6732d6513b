"""Command files, good and bad."""

from __future__ import annotations

import sys

import pytest
from command_cases import METRICS, command_table, write_command

from npu_tune.errors import TargetError
from npu_tune.targets import load_target


def load(table):
    return load_target("command", {"command": table})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"argv": []}, "argv"),
        ({"argv": "vela model"}, "argv"),
        ({"argv": None}, "argv"),
        ({"metrics": []}, "metrics"),
        ({"metrics": [*METRICS, METRICS[0]]}, "twice"),
        ({"metrics": [{"name": "latency ms", "kind": "measured"}]}, "name"),
        ({"metrics": [{"name": "latency_ms", "kind": "guessed"}]}, "kind"),
        ({"knobs": []}, "knobs"),
        ({"knob": []}, "'knob'"),
        ({"exit_codes": {"0": "illegal"}}, "exit status"),
        ({"exit_codes": {"3": "odd"}}, "exit_codes"),
        ({"time_limit": "never"}, "never"),
        ({"time_limit": -1.0}, "time_limit"),
        ({"at_a_time": 0}, "at_a_time"),
        ({"formats": ["caffe"]}, "formats"),
        ({"files": ["gone.so"]}, "gone.so"),
        ({"version": ["no-such-program", "--version"]}, "version"),
        ({"version": [sys.executable, "-c", "raise SystemExit('no licence')"]}, "no licence"),
        ({"starts": [{"label": "a", "values": {}}] * 2}, "twice"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_key(changes, said):
    with pytest.raises(TargetError) as raised:
        load(command_table(**changes))
    assert said in str(raised.value)


@pytest.mark.parametrize("given", [{}, {"command": 3}, {"command": "none.toml"}])
def test_a_target_without_a_command_is_refused(given):
    with pytest.raises(TargetError):
        load_target("command", given)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text("argv = [")
    with pytest.raises(TargetError, match="is not TOML"):
        load(str(path))


def test_files_are_found_beside_the_command_file(tmp_path):
    (tmp_path / "adapter.py").write_text("print(1)\n")
    (tmp_path / "limits.json").write_text("{}")
    table = command_table(argv=["python3", "adapter.py"], files=["limits.json"])
    target = load(str(write_command(tmp_path / "lab.toml", table)))
    assert set(target.digests) == {str(tmp_path / "adapter.py"), str(tmp_path / "limits.json")}
    assert target.fingerprint()["command"] == "python3 adapter.py"


def test_a_word_of_the_command_may_be_too_long_for_a_file(tmp_path):
    table = command_table(argv=["python3", "-c", "#" * 5000])
    assert load(str(write_command(tmp_path / "lab.toml", table))).digests == {}


def test_the_version_is_what_the_program_prints(tmp_path):
    target = load(command_table(version=["python3", "-c", "print('compiler 4.2')"]))
    assert target.fingerprint()["version"] == "compiler 4.2"
    assert load(command_table(version="1.0")).version == "1.0"


def test_time_limits_are_written_as_people_write_them():
    assert load(command_table(time_limit="1m30s")).table.time_limit == 90.0
    assert load(command_table(time_limit=2)).table.time_limit == 2.0
