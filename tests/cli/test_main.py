from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings

import click
import pytest

from npu_tune import __version__, errors
from npu_tune.cli import main as main_module
from npu_tune.cli.main import commands
from npu_tune.tuning.samplers import sampler_names

HEAVY = {"ray", "ethosu", "onnxruntime", "onnx", "optuna", "numpy", "pandas", "matplotlib"}


@pytest.fixture
def failing(monkeypatch):
    """Makes ``npu-tune targets`` raise."""

    def install(error):
        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        def body(*, as_json):
            raise error

        monkeypatch.setitem(commands.commands, "targets", body)

    return install


def all_errors(kind=errors.NpuTuneError):
    yield kind
    for child in kind.__subclasses__():
        yield from all_errors(child)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tune", "--help"], []])
def test_help_and_version_load_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from npu_tune.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as leaving:\n"
        "    assert not leaving.code, leaving.code\n"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "click" in loaded
    assert not HEAVY & loaded


def test_the_version_is_the_package_version(npu_tune):
    ended = npu_tune("--version")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == f"npu-tune {__version__}"


def test_the_versions_of_what_decides_figures_are_told(npu_tune):
    from importlib.metadata import version

    told = dict(line.split(maxsplit=1) for line in npu_tune("--version").out.splitlines())
    for name in ("ethos-u-vela", "onnxruntime", "optuna", "ray"):
        assert told[name] == version(name)


def test_every_command_has_a_help_text(npu_tune):
    for name in commands.commands:
        ended = npu_tune(name, "--help")
        assert ended.code == 0
        assert "--json" in ended.out


def test_the_help_of_tune_names_every_sampler(npu_tune):
    # Lines break at the hyphens of names too.
    text = re.sub(r"-\n\s+", "-", npu_tune("tune", "--help").out)
    words = re.findall(r"[\w-]+", text)
    assert set(sampler_names()) <= set(words)


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_every_error_is_one_sentence_and_its_exit_code(npu_tune, failing, kind):
    failing(kind("It went wrong.", remedy="Do this.", value=3))
    ended = npu_tune("targets")
    assert ended.code == kind.exit_code
    assert ended.err == "npu-tune: It went wrong. Do this.\n"
    assert not ended.out


def test_an_error_with_json_is_one_document_on_standard_output(npu_tune, failing):
    failing(errors.TargetError("There is no such target.", remedy="Look again.", target="x"))
    ended = npu_tune("targets", "--json")
    assert ended.code == 4
    assert not ended.err
    assert ended.document == {
        "schema": "npu-tune/1",
        "command": "targets",
        "error": {
            "kind": "TargetError",
            "message": "There is no such target.",
            "remedy": "Look again.",
            "exit_code": 4,
            "data": {"target": "x"},
        },
    }


def test_an_unexpected_exception_is_called_a_bug_without_a_traceback(npu_tune, failing):
    failing(ZeroDivisionError("division by zero"))
    ended = npu_tune("targets")
    assert ended.code == 1
    assert "Internal error: ZeroDivisionError: division by zero" in ended.err
    assert "Traceback" not in ended.err


def test_memory_that_runs_out_is_no_bug(npu_tune, failing):
    failing(MemoryError())
    ended = npu_tune("targets")
    assert ended.code == 8
    assert "Memory ran out." in ended.err


def test_the_traceback_of_a_bug_is_there_for_who_asks(npu_tune, failing, monkeypatch):
    monkeypatch.setenv("NPU_TUNE_TRACEBACK", "1")
    failing(ZeroDivisionError("division by zero"))
    assert "Traceback" in npu_tune("targets").err


def test_ctrl_c_says_how_to_go_on(npu_tune, failing):
    failing(KeyboardInterrupt())
    ended = npu_tune("targets")
    assert ended.code == 130
    assert "the same command again resumes the study" in ended.err


def test_a_full_disk_is_a_storage_error_with_the_remedy(npu_tune, failing):
    failing(OSError(28, "No space left on device", "/full/file"))
    ended = npu_tune("targets")
    assert ended.code == 7
    assert ended.err == (
        "npu-tune: No space left on device (/full/file). "
        "Free some space there, or choose another folder. Then run the same command again.\n"
    )


def test_a_path_that_cannot_be_written_is_a_storage_error_with_the_remedy(npu_tune, failing):
    failing(FileExistsError(17, "File exists", "out"))
    ended = npu_tune("targets")
    assert ended.code == 7
    assert ended.err == (
        "npu-tune: File exists (out). "
        "Something else has that name already: remove it, or choose another name. "
        "Then run the same command again.\n"
    )


def test_an_unknown_command_is_a_usage_error(npu_tune):
    ended = npu_tune("optimise")
    assert ended.code == 2
    assert "No such command 'optimise'" in ended.err


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["shwo"], "Did you mean 'show'?"),
        (["wathc", "runs/x"], "Did you mean 'watch'?"),
        (["show", "runs/x", "--plto", "x.png"], "Did you mean '--plot'?"),
        (["tune", "resnet8", "--target", "fake-npu", "--sedd", "3"], "'--seed'"),
        (["space", "resnet9", "--target", "fake-npu"], "Did you mean 'resnet8'?"),
        (["space", "resnet8", "--target", "fake-npo"], "Did you mean 'fake-npu'?"),
    ],
)
def test_for_what_is_misspelt_the_nearest_name_is_offered(npu_tune, here, arguments, near):
    assert near in npu_tune(*arguments).err


def test_an_unknown_command_with_json_is_a_document(npu_tune):
    ended = npu_tune("optimise", "--json")
    assert ended.code == 2
    assert ended.document["command"] is None


def test_our_own_warnings_are_one_line_and_others_are_silent(npu_tune, monkeypatch):
    @click.command()
    def body():
        warnings.warn("look out", errors.NpuTuneWarning, stacklevel=1)
        warnings.warn("of a library", FutureWarning, stacklevel=1)

    monkeypatch.setitem(commands.commands, "targets", body)
    ended = npu_tune("targets")
    assert ended.code == 0
    assert ended.err == "npu-tune: warning: look out\n"


def test_a_reader_that_goes_away_is_no_error_worth_a_word(script):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*script, "--help"], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert done.returncode == main_module.BROKEN_PIPE
    assert not done.stderr
