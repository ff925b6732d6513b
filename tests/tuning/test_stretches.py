from __future__ import annotations

import json
import os
import signal
import warnings
from dataclasses import replace

import pytest
from fake_studies import fake_study, run_fake, start_program
from fake_targets import LayeredTarget, fake_network, wait_until

from npu_tune.errors import NpuTuneWarning, StorageError, UsageError
from npu_tune.tuning import read_study, run_study
from npu_tune.tuning.ledger import PatientLedger, open_ledger
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.stretch_record import stretch
from npu_tune.tuning.stretches import SEARCHES, Stretch, searches, stretches


def made(first: int, seed: int = 1, **more) -> Stretch:
    """A stretch that begins."""
    known = {"began": "2026-01-01T00:00:00+00:00", "executor": {"kind": "inline", "workers": 1}}
    return Stretch(SearchSettings(first, "random", seed), **known | more)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "s.journal", name="s", directions=("minimize",)) as opened:
        yield PatientLedger(opened, retry_s=0)


def test_a_run_says_by_what_where_when_and_how_its_trials_came_about(tmp_path):
    result = run_fake(tmp_path / "s", 6)
    (found,) = result.stretches
    assert (found.first_trial, found.last_trial) == (0, len(result.trials) - 1)
    assert (found.search.sampler, found.search.seed) == ("random", 0)
    assert found.executor == {"kind": "inline", "workers": 1}
    assert found.versions.keys() >= {"npu-tune", "Python", "optuna", "numpy"}
    assert found.platform["processors"] == len(os.sched_getaffinity(0))
    assert found.fingerprint == result.identity.fingerprint
    assert (found.command, found.stopped) == ("Python", "evaluations")
    assert found.began <= found.ended
    assert found.began_s == 0 <= found.ended_s


def test_every_resume_adds_a_stretch_that_begins_where_the_one_before_ended(tmp_path):
    for evaluations in (4, 8, 12):
        result = run_fake(tmp_path / "s", evaluations)
    one, two, three = result.stretches
    assert (one.last_trial + 1, two.last_trial + 1) == (two.first_trial, three.first_trial)
    assert three.last_trial == len(result.trials) - 1
    assert one.ended_s <= two.began_s + 1
    assert len(result.searches) == 1


def test_another_version_is_said_and_kept_and_another_executor_is_kept(tmp_path, monkeypatch):
    run_fake(tmp_path / "s", 4)
    found = {"npu-tune": "9.9", "Python": "3.11", "optuna": "0.1", "ray": None}
    monkeypatch.setattr("npu_tune.tuning.stretch_record.installed_versions", lambda: found)
    with pytest.warns(NpuTuneWarning, match=r"npu-tune is 9\.9, which was") as told:
        run_fake(tmp_path / "s", 8, executor={"kind": "process", "workers": 2})
    message = str(told[0].message)
    assert "ray is not installed, which was" in message
    assert "sampler" not in message
    assert "executor" not in message
    second = read_study(tmp_path / "s").stretches[1]
    assert second.versions["npu-tune"] == "9.9"
    assert second.executor == {"kind": "process", "workers": 2}


def test_a_killed_run_has_no_end_and_its_trials_count_up_to_the_next(tmp_path):
    folder = tmp_path / "s"
    program = start_program(folder, 10**6, target=LayeredTarget())
    try:
        wait_until(lambda: program.poll() is not None or _trials(folder))
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()
    (killed,) = read_study(folder).stretches
    assert (killed.ended, killed.stopped, killed.last_trial) == (None, None, None)

    done = sum(t.duplicate_of is None for t in read_study(folder).trials)
    result = run_fake(folder, done + 3)
    killed, second = result.stretches
    assert killed.ended is None
    assert killed.last_trial == second.first_trial - 1
    assert second.stopped == "evaluations"


def _trials(folder):

    try:
        return read_study(folder).trials
    except (StorageError, UsageError):
        return ()


def test_a_run_that_an_exception_ends_says_which(ledger):
    with pytest.raises(ValueError, match="odd"), stretch(ledger, made(0), kept=None):
        raise ValueError("odd")
    with pytest.raises(KeyboardInterrupt), stretch(ledger, made(0), kept=None):
        raise KeyboardInterrupt
    (found,) = stretches(ledger.attributes())
    assert found.stopped == "interrupted"


def test_a_thousand_resumes_in_the_same_way_carry_far_less_than_a_megabyte(tmp_path, ledger):
    for number in range(1000):
        before = (tmp_path / "s.journal").stat().st_size
        ledger._trials = [None] * (number + 1)
        with stretch(ledger, made(number, versions={"npu-tune": "1" * 900}), kept=None) as running:
            running.stopped = "evaluations"
        grown = (tmp_path / "s.journal").stat().st_size - before
    attributes = ledger.attributes()
    assert len(stretches(attributes)) == 1000
    assert len(json.dumps(attributes)) < 400_000
    assert grown < 900


def test_a_run_that_added_nothing_leaves_its_place_to_the_next(ledger):
    for seed in (1, 2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NpuTuneWarning)
            with stretch(ledger, made(0, seed), kept=None) as running:
                running.stopped = "evaluations"
    assert [each.search.seed for each in stretches(ledger.attributes())] == [3]


def test_what_an_earlier_version_listed_is_read_before_what_this_one_writes(ledger):
    listed = {"first_trial": 0, "sampler": "tpe", "seed": 7, "options": {}}
    ledger.set_attribute(SEARCHES, [listed])
    with (
        pytest.warns(NpuTuneWarning, match="sampler is random, which was tpe") as told,
        stretch(ledger, made(5, 7), kept=None) as running,
    ):
        running.stopped = "evaluations"
    assert "executor" not in str(told[0].message)  # which nobody knows
    first, second = stretches(ledger.attributes())
    assert (first.search, first.is_known) == (SearchSettings(**listed), False)
    assert second.first_trial == 5


def test_an_attribute_that_somebody_else_has_called_so_is_no_stretch(ledger):
    with stretch(ledger, made(0), kept=None) as running:
        running.stopped = "evaluations"
    for name, value in (("stretch:mine", {}), ("stretch:00009-ab", {}), ("stretch:00009", 3)):
        ledger.set_attribute(name, value)
    assert len(stretches(ledger.attributes())) == 1


def test_stretches_of_the_same_sampler_are_one_search():
    found = [made(0), made(4), made(4, 2), made(9, 2), made(12)]
    assert [(s.first_trial, s.seed) for s in searches(found)] == [(0, 1), (4, 2), (12, 1)]


def test_the_command_is_kept_without_its_passwords(tmp_path):
    run_study(
        fake_study(tmp_path / "s", 2),
        network=fake_network(),
        target=LayeredTarget(),
        command="npu-tune tune m --storage postgresql://me:secret@host/db?password=secret&x=1",
    )
    (found,) = read_study(tmp_path / "s").stretches
    assert found.command == (
        "npu-tune tune m --storage postgresql://me:***@host/db?password=***&x=1"
    )


def test_differences_name_nothing_of_a_run_that_is_the_same():
    assert not list(replace(made(9), began="2027").differences(made(0)))
