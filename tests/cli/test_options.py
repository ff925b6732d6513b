from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from npu_tune import cli
from npu_tune.cli.options import target_options, target_table
from npu_tune.cli.target_command import TargetCommand
from npu_tune.errors import UsageError


def table(*assignments: str, **flags):
    return target_table(target="npu", assignments=assignments, **flags)


def test_an_assignment_is_a_value_of_toml_or_else_a_plain_word():
    assert table("a=2", "b=true", "c=word", "d=[1, 2]", "e=own.toml", 'f="2"') == {
        "name": "npu",
        "a": 2,
        "b": True,
        "c": "word",
        "d": [1, 2],
        "e": "own.toml",
        "f": "2",
    }


def test_a_point_in_the_key_leads_into_a_table():
    given = table(
        "hardware.accelerators=[1, 2]",
        "hardware.pools.npuRAM5=256 KiB",
        "hardware.pools.npuRAM4=0",
        "rule=vendor",
    )
    assert given == {
        "name": "npu",
        "hardware": {"accelerators": [1, 2], "pools": {"npuRAM5": "256 KiB", "npuRAM4": 0}},
        "rule": "vendor",
    }


def test_a_table_can_be_given_whole():
    assert table("hardware={ accelerators = 2 }", "hardware.clock_mhz=800")["hardware"] == {
        "accelerators": 2,
        "clock_mhz": 800,
    }


@pytest.mark.parametrize("assignments", [("hardware=2", "hardware.accelerators=2")])
def test_a_value_that_is_also_a_table_is_refused(assignments):
    with pytest.raises(UsageError, match="'hardware', which another option gives a value"):
        table(*assignments)


@pytest.mark.parametrize(
    "text", ["hardware", "=2", " =2", "hardware..clock_mhz=2", ".a=2", "a.=2"]
)
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(UsageError, match="no KEY=VALUE"):
        table(text)


def test_flags_of_a_target_are_options_of_its_table():
    given = table(
        "b=2", target_option_system_config="Fast", target_option_dry=True, target_option_none=None
    )
    assert given == {"name": "npu", "system_config": "Fast", "dry": True, "b": 2}


# The flags of the named target ----------------------------------------------------------------


@pytest.fixture
def command():
    """A command with the options of targets that answers with their table."""

    @click.command(cls=TargetCommand)
    @target_options
    @click.option("--config", "own", help="of the command itself")
    def show(*, own, **options):
        click.echo(json.dumps({"own": own, **target_table(**options)}, default=str))

    def run(*arguments):
        return CliRunner().invoke(show, arguments)

    return run


@pytest.mark.parametrize("named", [["--target", "ethos-u55-128"], ["--target=ethos-u55-128"]])
def test_the_flags_of_the_named_target_are_there(command, named):
    ended = command("--memory-mode", "Shared_Sram", *named, "--allow-cpu", "-O", "config=x.ini")
    assert json.loads(ended.output) == {
        "own": None,
        "name": "ethos-u55-128",
        "memory_mode": "Shared_Sram",
        "allow_cpu": True,
        "config": "x.ini",
    }


def test_flags_that_are_not_given_say_nothing(command):
    ended = command("--target", "ethos-u55-128")
    assert json.loads(ended.output) == {"own": None, "name": "ethos-u55-128"}


def test_a_flag_that_the_command_has_itself_stays_the_commands(command):
    ended = command("--target", "ethos-u55-128", "--config", "x.ini")
    assert json.loads(ended.output) == {"own": "x.ini", "name": "ethos-u55-128"}


def test_the_help_shows_the_flags_of_the_named_target_only(command):
    assert "--memory-mode" not in command("--help").output
    assert "--help, shows" in " ".join(command("--help").output.split())
    assert "--memory-mode" in command("--target", "ethos-u55-128", "--help").output
    assert "--memory-mode" not in command("--target", "neural-art-dimc", "--help").output
    assert "--target" in command("--target", "nowhere", "--help").output


def test_a_flag_of_another_family_is_refused_with_what_the_target_takes(npu_tune):
    ended = npu_tune("space", "ds-cnn", "--target", "neural-art-dimc", "--system-config", "A")
    assert ended.code == 4
    assert "The target 'neural-art-dimc' has no option --system-config." in ended.err
    assert "four_bit_weights" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--allow-cpu"], 2, "Name one with --target."),
        (["--target", "nowhere", "--allow-cpu"], 4, "There is no target 'nowhere'"),
        (["--target", "ethos-u55-128", "--allow-cpus"], 2, "Did you mean"),
        (["--target", "ethos-u55-128", "--what"], 2, "--what"),
    ],
)
def test_a_flag_that_no_named_target_has_is_refused(npu_tune, arguments, code, words):
    ended = npu_tune("space", "ds-cnn", *arguments)
    assert ended.code == code
    assert words in ended.err


@pytest.mark.parametrize("command", ["tune", "space", "front"])
def test_the_help_without_a_target_loads_no_family(command):
    code = (
        "import sys\n"
        "from npu_tune.cli.main import main\n"
        "try:\n"
        f"    main([{command!r}, '--help'])\n"
        "except SystemExit:\n"
        "    print('LOADED', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "click" in loaded
    assert not {"pydantic", "npu_tune.targets", "ray", "optuna", "ethosu"} & loaded


def test_generic_code_of_the_command_line_knows_no_vendors_words():
    words = ("system_config", "system-config", "memory_mode", "memory-mode", "allow_cpu", "ini")
    for name in ("options.py", "target_command.py"):
        text = (Path(cli.__file__).parent / name).read_text(encoding="utf-8")
        body = text.split('"""', 2)[2].replace("--memory-mode``", "")
        assert not [word for word in words if f'"{word}' in body or f"--{word}" in body]
