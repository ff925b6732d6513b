"""What an evaluation starts ends with it, whatever it has done to get away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from evaluations import CHANGED, evaluate, next_finished, submit
from fake_targets import (
    Acting,
    CrashingTarget,
    HangingTarget,
    Waiting,
    is_running,
    parent_of,
    start_daemon,
    wait_until,
)

from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.processes import guard

SLEEPER = [sys.executable, "-S", "-c", "import threading; threading.Event().wait()"]


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@pytest.fixture
def sleeper():
    with subprocess.Popen(SLEEPER) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", [HangingTarget, CrashingTarget, Acting])
def test_a_daemon_ends_with_the_worker_it_came_from(tmp_path, end):
    # It hangs, it crashes, or it answers and its worker ends with the pool.
    target = Acting(end(), act=start_daemon, folder=tmp_path)
    with ProcessPool(workers=1, timeout_s=2.0) as workers:
        evaluate(workers, target, CHANGED[0])

    assert pids(tmp_path)
    assert not any(is_running(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize("end", [HangingTarget, CrashingTarget, Acting])
def test_what_an_evaluation_leaves_in_its_temporary_folder_ends_with_the_worker(
    tmp_path, monkeypatch, end
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    target = Acting(end(), act=leave_files, folder=tmp_path)
    with ProcessPool(workers=1, timeout_s=2.0) as workers:
        evaluate(workers, target, CHANGED[0])

    assert scratch in Path((tmp_path / "left").read_text()).parents
    assert list(scratch.iterdir()) == []


def test_a_temporary_folder_that_was_removed_is_made_again(tmp_path):
    with ProcessPool(workers=1, timeout_s=60.0) as workers:
        evaluate(workers, Acting(act=remove_temporary_folder, folder=tmp_path), CHANGED[0])
        outcome = evaluate(workers, Acting(act=leave_files, folder=tmp_path), CHANGED[1]).answer

    assert outcome.error is None


@pytest.mark.parametrize("generation", [1, 2])
def test_either_guard_ends_everything_when_the_other_one_is_killed(tmp_path, generation):
    target = Acting(Waiting(folder=tmp_path), act=start_daemon, folder=tmp_path)
    with ProcessPool(workers=1, timeout_s=60.0) as workers:
        submit(workers, target, CHANGED[0])
        wait_until((tmp_path / "begun").exists)
        worker, daemon = int((tmp_path / "begun").read_text()), pids(tmp_path)[0]
        (tmp_path / "go").touch()
        victim = worker
        for _ in range(generation):
            victim = parent_of(victim)
        os.kill(victim, signal.SIGKILL)
        outcome = next_finished(workers).answer
        wait_until(lambda: not is_running(worker) and not is_running(daemon))

    assert outcome.error is None


def test_a_worker_that_is_stopped_in_an_evaluation_is_out_of_time(tmp_path):
    with ProcessPool(workers=1, timeout_s=1.0) as workers:
        outcome = evaluate(workers, Acting(act=stop, folder=tmp_path), CHANGED[0]).answer

    assert outcome.error.failure == "timeout"


def test_a_stopped_worker_that_its_guard_has_ended_first_is_out_of_time(tmp_path):
    # As where the pool's own process has to wait for a busy machine meanwhile.
    with ProcessPool(workers=1, timeout_s=1.0) as workers:
        submit(workers, Acting(act=stop, folder=tmp_path), CHANGED[0])
        workers.wait(0.0)
        wait_until((tmp_path / "pid").exists)
        stopped = int((tmp_path / "pid").read_text())
        wait_until(lambda: not is_running(stopped))
        outcome = next_finished(workers).answer

    assert outcome.error.failure == "timeout"
    assert int((tmp_path / "pid").read_text()) == stopped  # no other worker has tried it


def test_a_worker_that_is_stopped_between_evaluations_is_replaced(tmp_path):
    with ProcessPool(workers=1, timeout_s=1.0) as workers:
        evaluate(workers, Acting(act=note_pid, folder=tmp_path), CHANGED[0])
        first = int((tmp_path / "pid").read_text())
        os.kill(first, signal.SIGSTOP)
        outcome = evaluate(workers, Acting(act=note_pid, folder=tmp_path), CHANGED[0]).answer

    assert outcome.error is None
    assert int((tmp_path / "pid").read_text()) != first


def stop(folder: Path) -> None:
    note_pid(folder)
    os.kill(os.getpid(), signal.SIGSTOP)


def leave_files(folder: Path) -> None:
    left = Path(tempfile.mkdtemp())
    (left / "file").touch()
    (folder / "left").write_text(str(left))


def remove_temporary_folder(folder: Path) -> None:
    shutil.rmtree(os.environ["TMPDIR"])


def note_pid(folder: Path) -> None:
    (folder / "pid").write_text(str(os.getpid()))


def test_the_family_of_a_process_ends_and_nobody_else(sleeper):
    # A parent with a child in a session of its own.
    program = f"import subprocess as s, sys; p = s.Popen({SLEEPER!r}, start_new_session=True); print(p.pid, flush=True); p.wait(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as root:
        child = int(root.stdout.readline())
        guard.end_family(root.pid)

        assert not is_running(child)
        assert is_running(root.pid)
        assert is_running(sleeper.pid)


def test_a_number_that_has_come_to_mean_another_process_is_left_alone(sleeper):
    seen = guard._look(sleeper.pid)
    guard._kill(seen._replace(started=seen.started - 1))
    assert sleeper.poll() is None

    guard._kill(seen)
    assert sleeper.wait() == -signal.SIGKILL


def test_a_kernel_without_descriptors_of_processes_does_too(sleeper, monkeypatch):
    def refuse(pid):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    seen = guard._look(sleeper.pid)
    guard._kill(seen._replace(started=seen.started - 1))
    assert sleeper.poll() is None

    guard._kill(seen)
    assert sleeper.wait() == -signal.SIGKILL
