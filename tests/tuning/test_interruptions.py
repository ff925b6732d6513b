"""Studies that are stopped, killed, or run out of disk, as programs of their own."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_studies import run_fake, start_program, story
from fake_targets import (
    Counting,
    Hanging,
    LayeredTarget,
    Where,
    is_running,
    wait_for_file,
)

from npu_tune.errors import StorageError
from npu_tune.tuning import read_study

LAYERWISE = {"sampler": {"name": "layerwise"}}
POOL = {"executor": {"kind": "process", "workers": 1}}


def trials_in(folder: Path) -> int:
    ledger = folder / "ledger.journal"
    return ledger.read_bytes().count(b'"origin"') if ledger.exists() else 0


def wait_for_trials(folder: Path, count: int, program: subprocess.Popen[bytes]) -> None:
    while trials_in(folder) < count:
        assert program.poll() is None, program.communicate()[1].decode()
        os.sched_yield()


def wait_until_gone(pids: list[int]) -> None:
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        while is_running(pid):
            os.sched_yield()
        os.close(handle)


@pytest.mark.slow
@pytest.mark.parametrize("trials", [1, 20, 55])
def test_a_killed_serial_study_resumes_as_if_nothing_had_happened(tmp_path, trials):
    whole = run_fake(tmp_path / "whole", 80, **LAYERWISE)

    with start_program(tmp_path / "s", 80, target=LayeredTarget(), **LAYERWISE, **POOL) as program:
        wait_for_trials(tmp_path / "s", trials, program)
        program.kill()
    finished = story(read_study(tmp_path / "s"))
    resumed = story(run_fake(tmp_path / "s", 80, **LAYERWISE))

    assert len(finished) >= trials
    assert resumed[: len(finished)] == finished
    assert resumed == story(whole)


@pytest.mark.slow
def test_a_killed_study_leaves_no_process_behind_even_while_its_compiler_hangs(tmp_path):
    target = Hanging(pid_file=tmp_path / "pids")

    with start_program(tmp_path / "s", 5, target=target, **POOL) as program:
        pids = [int(pid) for pid in wait_for_file(tmp_path / "pids").split()]
        assert all(is_running(pid) for pid in pids)
        program.kill()

    wait_until_gone(pids)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_study_asked_to_stop_lets_running_evaluations_finish(tmp_path, number):
    target = Counting(LayeredTarget(), tmp_path / "log")
    executor = {"executor": {"kind": "process", "workers": 2}}

    with start_program(tmp_path / "s", 10_000, target=target, **executor) as program:
        wait_for_trials(tmp_path / "s", 8, program)
        program.send_signal(number)
        output, errors = program.communicate()

    assert (program.returncode, output, errors.count(b"Traceback")) == (0, b"interrupted\n", 0)
    result = read_study(tmp_path / "s")
    assert result.stopped == "interrupted"
    assert not any(trial.failure for trial in result.trials)
    evaluated = sum(trial.duplicate_of is None for trial in result.trials)
    assert evaluated == len(target.log.read_text().splitlines())


@pytest.mark.slow
def test_a_second_interrupt_ends_a_hanging_study_and_its_workers(tmp_path):
    target = Hanging(pid_file=tmp_path / "pids")

    with start_program(tmp_path / "s", 5, target=target, **POOL) as program:
        pids = [int(pid) for pid in wait_for_file(tmp_path / "pids").split()]
        program.send_signal(signal.SIGINT)
        # Two signals at once would count as one: the first must have been seen.
        while int(_pending_or_caught(program.pid), 16) & 1 << signal.SIGINT - 1:
            os.sched_yield()
        while program.poll() is None:
            program.send_signal(signal.SIGINT)
        errors = program.communicate()[1]

    assert b"KeyboardInterrupt" in errors
    wait_until_gone(pids)
    assert len(read_study(tmp_path / "s").trials) == 1


def _pending_or_caught(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("ShdPnd"))


def test_a_full_disk_ends_the_study_and_keeps_what_was_written(tmp_path):
    # The limit on the size of files stands in for a disk without room.
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "from fake_studies import run_fake\n"
        "from npu_tune.errors import StorageError\n"
        "try:\n"
        "    run_fake(Path(sys.argv[1]), 500)\n"
        "except StorageError as error:\n"
        "    print(error)\n"
        "    sys.exit(error.exit_code)\n"
    )
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": support},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == StorageError.exit_code, done.stderr
    assert "ledger.journal" in done.stdout
    finished = story(read_study(tmp_path / "s"))
    assert len(finished) > 10
    resumed = story(run_fake(tmp_path / "s", 100))
    assert resumed[: len(finished)] == finished
    assert resumed == story(run_fake(tmp_path / "whole", 100))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_worker_does_not_hold_the_ledger_open(tmp_path):
    run_fake(tmp_path / "s", 5, **POOL, target=Hanging(where=Where("layer0/block", 999)))

    assert len(run_fake(tmp_path / "s", 6, **POOL).trials) >= 6
