from __future__ import annotations

import multiprocessing
import os
import tempfile

import pytest

from npu_tune.errors import NpuTuneWarning, WorkerLostError
from npu_tune.targets.measured import machine


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_name_says_how_many_cores_may_be_used():
    assert machine.machine_name().endswith(f"{len(machine.usable_cores())} cores")


def test_a_process_is_pinned_to_one_core_and_let_go_again():
    before = os.sched_getaffinity(0)
    with machine.core_of_its_own():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_two_measurements_never_share_a_core(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: (0,))
    with (
        machine.core_of_its_own(),
        pytest.raises(WorkerLostError, match="every core"),
        machine.core_of_its_own(timeout_s=0.0),
    ):
        pass


def test_a_core_is_free_again_when_its_holder_has_died(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: (0,))

    def die() -> None:
        with machine.core_of_its_own():
            os._exit(1)

    holder = multiprocessing.get_context("fork").Process(target=die)
    holder.start()
    holder.join()
    with machine.core_of_its_own(timeout_s=0.0):
        pass


def test_whoever_needs_two_cores_holds_none_while_it_waits(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: tuple(sorted(os.sched_getaffinity(0))))
    cores = machine.usable_cores()
    if len(cores) < 2:
        pytest.skip("this machine has one core")
    with machine.core_of_its_own(len(cores) - 1):
        monkeypatch.setattr(machine, "usable_cores", lambda: cores)
        with pytest.raises(WorkerLostError), machine.core_of_its_own(len(cores), timeout_s=0.0):
            pass
        with machine.core_of_its_own(1, timeout_s=0.0):
            pass


def test_more_threads_than_cores_are_refused(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: (0,))
    with pytest.raises(WorkerLostError, match="2 cores"), machine.core_of_its_own(2):
        pass


def test_a_busy_machine_is_warned_of(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    with pytest.warns(NpuTuneWarning, match="busy"):
        machine.warn_if_busy()


def test_an_idle_machine_is_not(monkeypatch, recwarn):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    machine.warn_if_busy()
    assert not recwarn
