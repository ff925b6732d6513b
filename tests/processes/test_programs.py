"""Programs run one after the other."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from fake_targets import is_running, wait_until

from npu_tune.processes.programs import Program, ProgramRunner


@pytest.fixture
def run(tmp_path):
    """Runs Python code as a program."""
    (tmp_path / "input").write_text("given")
    with ProgramRunner() as runner:

        def run(code, *, time_limit_s=60.0, most_bytes=10**6, argv=None):
            command = argv or (sys.executable, "-S", "-c", code)
            end = runner.run(
                Program(
                    command,
                    tmp_path,
                    *(tmp_path / name for name in ("input", "output", "errors")),
                    time_limit_s,
                    most_bytes,
                    dict(os.environ),
                )
            )
            return end, (tmp_path / "output").read_text()

        yield run


def test_a_program_reads_its_input_and_its_status_is_told(run):
    end, output = run("import sys; print(sys.stdin.read()); sys.exit(3)")
    assert (end.status, end.stopped, end.left, end.refused) == (3, "", 0, "")
    assert output == "given\n"
    assert end.seconds > 0.0


def test_a_program_that_cannot_be_started_is_told_and_the_next_one_runs(run, tmp_path):
    assert run("", argv=(str(tmp_path / "gone"),))[0].refused == "No such file or directory"
    assert run("", argv=("a\0b",))[0].refused
    assert run("print(1)")[1] == "1\n"


def test_a_program_that_is_killed_has_a_negative_status(run):
    assert run("import os; os.kill(os.getpid(), 9)")[0].status == -9


def test_a_program_that_takes_too_long_is_ended(run):
    end, _ = run("import threading; threading.Event().wait()", time_limit_s=0.2)
    assert end.stopped == "late"


def test_a_program_that_prints_too_much_is_ended(run):
    end, output = run("while True: print('x' * 1000)", most_bytes=10_000)
    assert end.stopped == "loud"
    assert len(output) > 10_000


def test_a_runner_that_was_closed_begins_anew(tmp_path):
    (tmp_path / "input").touch()
    paths = [tmp_path / name for name in ("input", "output", "errors")]
    program = Program(("true",), tmp_path, *paths, 60.0, 1000, dict(os.environ))
    with ProgramRunner() as runner:
        assert runner.run(program).status == 0
        runner.close()
        assert runner.run(program).status == 0


def test_a_program_ends_with_the_process_that_runs_it(tmp_path):
    (tmp_path / "input").touch()
    paths = [tmp_path / name for name in ("input", "output", "errors")]
    code = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait()"
    command = (sys.executable, "-S", "-c", code)
    program = Program(command, tmp_path, *paths, 60.0, 1000, dict(os.environ))

    def run():
        with pytest.raises((EOFError, OSError)):
            runner.run(program)

    with ProgramRunner() as runner:
        waiting = threading.Thread(target=run)
        waiting.start()
        wait_until(lambda: (tmp_path / "output").exists() and (tmp_path / "output").read_text())
        runner._partner._process.kill()
        waiting.join()
    pid = int((tmp_path / "output").read_text())
    wait_until(lambda: not is_running(pid))
