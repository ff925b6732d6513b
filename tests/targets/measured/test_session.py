from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from measured_cases import ScriptedEngine

from npu_tune.errors import CompilerCrashError, CompilerError, WorkerLostError
from npu_tune.targets.measured.messages import MeasuringSetup, WrittenConfiguration
from npu_tune.targets.measured.rounds import RoundSettings
from npu_tune.targets.measured.session import MeasuringSession

QUICK = RoundSettings(timed=1, least=4, most=4, seconds=1.0, patience=0.0)
FEED = {"x": np.ones((1, 4096), np.float32)}


@pytest.fixture
def session(tmp_path, engine):
    with MeasuringSession(
        MeasuringSetup(engine, (WrittenConfiguration(tmp_path, {}),), (FEED,), QUICK)
    ) as opened:
        yield opened


@pytest.fixture(params=[True, False], ids=["reference once", "reference each time"])
def engine(request) -> ScriptedEngine:
    return ScriptedEngine(outlives_fork=request.param)


def test_outputs_time_and_memory_come_back(session, tmp_path):
    found = session.measure(WrittenConfiguration(tmp_path, {"bytes": 40_000_000, "work": 50}))
    assert found.outputs[0][0].tolist() == [[4096.0, 4096.0]]
    assert found.timing.ratio > 1.0
    assert found.timing.rounds == QUICK.least
    assert 38_000_000 < found.load_peak_bytes < 60_000_000
    assert found.layer_seconds == {"sum": 0.001}


def test_outputs_alone_take_no_time(session, tmp_path):
    found = session.measure(WrittenConfiguration(tmp_path, {}), timed=False)
    assert found.timing is None
    assert found.outputs[0][0].tolist() == [[4096.0, 4096.0]]


@pytest.mark.parametrize(
    ("does", "how"), [("crash", "killed by SIGSEGV"), ("exit", "exit status 7")]
)
def test_a_crash_harms_its_own_configuration_alone(session, tmp_path, does, how):
    with pytest.raises(CompilerCrashError, match=how):
        session.measure(WrittenConfiguration(tmp_path, {"does": does}))
    session.measure(WrittenConfiguration(tmp_path, {}))


def test_a_crash_that_does_not_repeat_is_no_verdict(session, tmp_path):
    found = session.measure(WrittenConfiguration(tmp_path, {"does": "crash once"}))
    assert found.timing is not None
    assert (tmp_path / "crashed").exists()


def test_what_a_library_refuses_is_a_compiler_error(session, tmp_path):
    with pytest.raises(CompilerError, match="no network of mine"):
        session.measure(WrittenConfiguration(tmp_path, {"does": "refuse"}))
    session.measure(WrittenConfiguration(tmp_path, {}))


def test_a_reference_that_is_refused_says_so(tmp_path):
    setup = MeasuringSetup(
        ScriptedEngine(), (WrittenConfiguration(tmp_path, {"does": "refuse"}),), (FEED,), QUICK
    )
    with MeasuringSession(setup) as session, pytest.raises(CompilerError, match="no network"):
        session.measure(WrittenConfiguration(tmp_path, {}))


def test_a_library_that_cannot_be_imported_says_so(tmp_path):
    setup = MeasuringSetup(
        ScriptedEngine(prepares=False), (WrittenConfiguration(tmp_path, {}),), (FEED,), QUICK
    )
    with MeasuringSession(setup) as session, pytest.raises(CompilerError, match="no such library"):
        session.measure(WrittenConfiguration(tmp_path, {}))


def test_a_reference_that_crashes_is_a_lost_worker(tmp_path):
    setup = MeasuringSetup(
        ScriptedEngine(), (WrittenConfiguration(tmp_path, {"does": "crash"}),), (FEED,), QUICK
    )
    with MeasuringSession(setup) as session, pytest.raises(WorkerLostError, match="SIGSEGV"):
        session.measure(WrittenConfiguration(tmp_path, {}))


@pytest.mark.parametrize("does", ["refuse", "crash"])
def test_a_second_reference_that_does_not_run_is_left_out(tmp_path, does):
    first = WrittenConfiguration(tmp_path, {})
    second = WrittenConfiguration(tmp_path, {"does": does})
    setup = MeasuringSetup(ScriptedEngine(), (first, second), (FEED,), QUICK)
    with MeasuringSession(setup) as session:
        found = session.measure(first)
    assert len(found.timing.references_s) == 1
    assert found.drift == 1.0


def test_the_drift_of_a_second_reference_is_known_from_the_first_measurement_on(tmp_path):
    first = WrittenConfiguration(tmp_path, {"work": 400})
    second = WrittenConfiguration(tmp_path, {"work": 200})
    setup = MeasuringSetup(ScriptedEngine(), (first, second), (FEED,), QUICK)
    with MeasuringSession(setup) as session:
        found = session.measure(first)
        usual = session._usual
        assert len(usual._latest) == 4
        assert found.drift == usual.drift(found.timing.references_s)


def test_nothing_is_left_behind_when_it_is_closed(session, tmp_path):
    session.measure(WrittenConfiguration(tmp_path, {}))
    pid = session.pid
    assert _is_alive(pid)
    session.close()
    assert not _is_alive(pid)
    session.close()


def test_the_process_is_replaced_when_it_has_died(session, tmp_path):
    session.measure(WrittenConfiguration(tmp_path, {}))
    os.kill(session.pid, 9)
    with pytest.raises(WorkerLostError, match="SIGKILL"):
        session.measure(WrittenConfiguration(tmp_path, {}))
    session.measure(WrittenConfiguration(tmp_path, {}))


def test_measurements_leave_no_process_and_no_open_file(session, tmp_path):
    session.measure(WrittenConfiguration(tmp_path, {}))
    before = _children(session.pid), _open_files(session.pid), _open_files(os.getpid())
    for _ in range(10):
        session.measure(WrittenConfiguration(tmp_path, {}))
    assert (_children(session.pid), _open_files(session.pid), _open_files(os.getpid())) == before


def test_files_are_removed_when_whoever_measures_was_killed(tmp_path, engine):
    folder = tmp_path / "files"
    folder.mkdir()
    session = MeasuringSession(
        MeasuringSetup(engine, (WrittenConfiguration(folder, {}),), (FEED,), QUICK, folder)
    )
    session.measure(WrittenConfiguration(folder, {}))
    assert folder.exists()
    session.close()  # its socket closes as it would with the process
    assert not folder.exists()


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
