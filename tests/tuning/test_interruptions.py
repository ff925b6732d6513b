"""Studies that are stopped, killed, or run out of disk, as programs of their own."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fake_studies import run_fake, start_program, story
from fake_targets import (
    Acting,
    Counting,
    HangingTarget,
    LayeredTarget,
    Where,
    is_running,
    start_daemon,
    wait_until,
)
from orphans import adopted_orphans

from npu_tune.errors import StorageError
from npu_tune.tuning import read_study

LAYERWISE = {"sampler": {"name": "layerwise"}}
POOL = {"executor": {"kind": "process", "workers": 1}}


@pytest.fixture
def short_tmpdir(monkeypatch):
    """A temporary folder of programs that are started, short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def trials_in(folder: Path) -> int:
    ledger = folder / "ledger.journal"
    return ledger.read_bytes().count(b'"origin"') if ledger.exists() else 0


def wait_for_trials(folder: Path, count: int, program: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: program.poll() is not None or trials_in(folder) >= count)
    assert program.poll() is None, program.communicate()[1].decode()


def wait_for_pids(path: Path) -> list[int]:
    wait_until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(is_running(pid) for pid in pids))


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
@pytest.mark.parametrize("kind", ["process", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_killed_study_leaves_nothing_behind_even_while_its_compiler_hangs(
    tmp_path, short_tmpdir, kind
):
    hanging = HangingTarget(pid_file=tmp_path / "hanging")
    target = Acting(hanging, act=start_daemon, folder=tmp_path)
    executor = {"executor": {"kind": kind, "workers": 1}}

    with adopted_orphans() as left:
        with start_program(tmp_path / "s", 5, target=target, **executor) as program:
            pids = wait_for_pids(tmp_path / "hanging") + wait_for_pids(tmp_path / "pids")
            assert all(is_running(pid) for pid in pids)
            program.kill()
        wait_until(lambda: not left() and not any(short_tmpdir.iterdir()), patience_s=10.0)

    assert not any(is_running(pid) for pid in pids)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("program_name", ["ray_head", "gcs_server", "raylet"])
def test_a_study_killed_while_ray_starts_leaves_nothing_behind(
    tmp_path, short_tmpdir, program_name
):
    executor = {"executor": {"kind": "ray", "workers": 1}}
    with adopted_orphans() as left:
        with start_program(tmp_path / "s", 5, target=LayeredTarget(), **executor) as program:
            wait_until(lambda: any(program_name in command for command in left()))
            program.kill()
        wait_until(lambda: not left() and not any(short_tmpdir.iterdir()), patience_s=10.0)


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
    target = HangingTarget(pid_file=tmp_path / "pids")

    with start_program(tmp_path / "s", 5, target=target, **POOL) as program:
        pids = wait_for_pids(tmp_path / "pids")
        program.send_signal(signal.SIGINT)
        # Two signals that arrive at once count as one, so it is asked until it obeys.
        while program.poll() is None:
            program.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(timeout=0.2)
        errors = program.communicate()[1]

    assert b"KeyboardInterrupt" in errors
    wait_until_gone(pids)
    assert len(read_study(tmp_path / "s").trials) == 1


def test_a_full_disk_ends_the_study_and_keeps_what_was_written(tmp_path):
    # The limit on the size of files stands in for a disk without room.
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "from fake_studies import run_fake\n"
        "from npu_tune.errors import StorageError\n"
        "try:\n"
        "    run_fake(Path(sys.argv[1]), 500, study={'storage_retry': 0})\n"
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
    target = HangingTarget(where=Where("layer0/block", 999))
    run_fake(tmp_path / "s", 5, **POOL, target=target)

    assert len(run_fake(tmp_path / "s", 6, **POOL, target=target).trials) >= 6
