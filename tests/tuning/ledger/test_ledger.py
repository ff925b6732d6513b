"""What holds for a ledger on any storage."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys

import optuna
import optuna_dashboard
import pytest
from dashboards import optuna_storage
from fake_targets import wait_until
from trials import content, finished_trial

from npu_tune.errors import StorageError, StudyMismatchError
from npu_tune.tuning.ledger import open_ledger

TWO = ("minimize", "maximize")


def test_trials_come_back_as_they_were_in_the_order_written(place):
    written = [finished_trial(i, failed=i % 3 == 2) for i in range(7)]
    with open_ledger(place, name="s", directions=TWO) as ledger:
        assert [ledger.append(trial) for trial in written] == list(range(7))
        assert [content(t) for t in ledger.trials()] == [content(t) for t in written]
    with open_ledger(place, name="s", directions=TWO, create=False) as again:
        assert [content(t) for t in again.trials()] == [content(t) for t in written]
        assert [t.number for t in again.trials()] == list(range(7))
        assert again.append(finished_trial(7)) == 7


def test_infinite_values_come_back(place):
    trial = finished_trial(0)
    trial.values = [float("inf"), float("-inf")]
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.append(trial)
        assert ledger.trials()[0].values == [float("inf"), float("-inf")]


def test_the_trial_that_is_written_is_not_changed(place):
    trial = finished_trial(1)
    before = copy.deepcopy(trial)
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.append(trial)
    assert trial == before


def test_plain_optuna_opens_it_as_an_ordinary_study(place):
    with open_ledger(place, name="s", directions=TWO, metric_names=("ms", "share")) as ledger:
        for index in range(4):
            ledger.append(finished_trial(index))
        ledger.set_attribute("target", {"name": "npu"})
    study = optuna.load_study(study_name="s", storage=optuna_storage(place))
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["ms", "share"]
    assert study.user_attrs == {"target": {"name": "npu"}}
    for index, trial in enumerate(study.trials):
        expected = content(finished_trial(index))
        expected["system_attrs"] |= {"constraints": [index - 3.0, -1.0]}
        assert content(trial) == expected
        assert trial.number == index
    study.optimize(lambda t: (t.suggest_int("conv/block", 0, 9), 1.0), n_trials=1)
    assert len(study.trials) == 5


def test_single_objective_studies_know_their_best_trial(place):
    with open_ledger(place, name="s", directions=("minimize",)) as ledger:
        for index in (5, 2, 3):
            ledger.append(finished_trial(index, objectives=1))
    study = optuna.load_study(study_name="s", storage=optuna_storage(place))
    assert study.best_trial.number == 1


def test_trials_of_plain_optuna_are_read_and_counted(place):
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.append(finished_trial(0))
        study = optuna.load_study(study_name="s", storage=optuna_storage(place))
        study.add_trial(finished_trial(1))
        assert ledger.append(finished_trial(2)) == 2
        assert [t.values[0] for t in ledger.trials()] == [0, 1, 2]


def test_several_studies_share_a_storage(place):
    for name in ("a", "b"):
        with open_ledger(place, name=name, directions=TWO) as ledger:
            assert ledger.append(finished_trial(0)) == 0
            assert ledger.append(finished_trial(1)) == 1
    with open_ledger(place, name="a", read_only=True) as ledger:
        assert len(ledger.trials()) == 2


def test_attributes_are_json_values_and_can_be_replaced(place):
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.set_attribute("limits", {"sram_bytes": 1})
        ledger.set_attribute("limits", {"sram_bytes": 2})
        ledger.set_attribute("none", None)
        assert ledger.attributes() == {"limits": {"sram_bytes": 2}, "none": None}


def test_a_second_writer_is_refused_and_may_come_after_the_first(place):
    first = open_ledger(place, name="s", directions=TWO)
    with first, pytest.raises(StorageError, match="Another process is writing"):
        open_ledger(place, name="s", directions=TWO)
    open_ledger(place, name="s", directions=TWO).close()


def test_a_reader_sees_what_the_writer_adds_and_cannot_write(place):
    with open_ledger(place, name="s", directions=TWO) as writer:
        writer.append(finished_trial(0))
        with open_ledger(place, name="s", read_only=True) as reader:
            assert len(reader.trials()) == 1
            writer.append(finished_trial(1))
            assert len(reader.trials()) == 2
            with pytest.raises(StorageError, match="reading only"):
                reader.append(finished_trial(2))
            with pytest.raises(StorageError, match="reading only"):
                reader.set_attribute("a", 1)
        assert writer.append(finished_trial(2)) == 2


def test_a_study_that_is_not_there_is_made_only_if_asked_for(place):
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(StorageError, match="no study 's'"):
            open_ledger(place, name="s", directions=TWO, **options)


def test_other_objectives_are_refused(place):
    open_ledger(place, name="s", directions=TWO).close()
    with pytest.raises(StudyMismatchError, match="minimize, maximize"):
        open_ledger(place, name="s", directions=("minimize",))


def test_running_trials_are_not_taken(place):
    trial = finished_trial(0)
    trial.state = optuna.trial.TrialState.RUNNING
    with open_ledger(place, name="s", directions=TWO) as ledger:
        with pytest.raises(ValueError, match="not finished"):
            ledger.append(trial)
        assert ledger.trials() == []


_WRITER = """
import os, signal, sys
from trials import finished_trial
from npu_tune.tuning.ledger import open_ledger
ledger = open_ledger(sys.argv[1], name="s", directions=("minimize", "maximize"))
for index in range(3):
    ledger.append(finished_trial(index))
ready, started = os.pipe()
if os.fork() == 0:
    os.write(started, b"!")
    signal.pause()  # a worker that outlives its parent
os.read(ready, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_finished_trials_survive_a_kill_and_no_lock_stays(place, pytestconfig):
    support = str(pytestconfig.rootpath / "tests" / "support")
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, place],
        stdout=subprocess.DEVNULL,
        env={"PYTHONPATH": f"{support}:{pytestconfig.rootpath}"},
        start_new_session=True,
    ) as process:
        try:
            assert process.wait(timeout=60) == -signal.SIGKILL
            with _opened_once_the_server_noticed(place) as ledger:
                assert [t.values[0] for t in ledger.trials()] == [0, 1, 2]
                assert ledger.append(finished_trial(3)) == 3
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _opened_once_the_server_noticed(place):
    # A server learns from the socket that its client is gone; files are free at once.
    for _ in range(50 if "@127" in place or "redis" in place else 0):
        try:
            return open_ledger(place, name="s", directions=TWO)
        except StorageError:
            continue
    return open_ledger(place, name="s", directions=TWO)


def test_a_reader_can_tell_whether_somebody_writes(place):
    with open_ledger(place, name="s", directions=TWO) as writer:
        writer.append(finished_trial(0))
        with open_ledger(place, name="s", create=False, read_only=True) as reader:
            assert reader.has_writer()
            writer.close()
            # A server needs a moment to notice that a connection has ended.
            wait_until(lambda: not reader.has_writer())
            with open_ledger(place, name="s", create=False) as again:
                assert reader.has_writer()
                assert again.append(finished_trial(1)) == 1


def test_the_note_is_what_the_dashboard_itself_would_have_written(place):
    long, short = "Long. " * 1000, "Short."
    with open_ledger(place, name="s", directions=("minimize",)) as ledger:
        assert ledger.note() == ""
        study = optuna.load_study(study_name="s", storage=optuna_storage(place))
        for body in (long, short):
            ledger.set_note(body)
            assert ledger.note() == optuna_dashboard.get_note(study) == body
        optuna_dashboard.save_note(study, long)
        assert ledger.note() == long
