"""The ledger that bears with outages, at a clock of its own."""

from __future__ import annotations

import warnings

import pytest
from trials import content, finished_trial

from npu_tune.errors import LostStorageError, NpuTuneWarning, OutageError
from npu_tune.tuning.ledger import PatientLedger, open_ledger
from npu_tune.tuning.ledger.journal import JournalLedger

TWO = ("minimize", "maximize")


class Failing(JournalLedger):
    """A journal that is out of reach for as long as ``out`` says, and may break after a write."""

    out = False
    breaks_after_write = False
    tries = 0

    def append(self, trial):
        self.tries += 1
        if self.out:
            raise OutageError("gone fishing.")
        number = super().append(trial)
        if self.breaks_after_write:
            self.breaks_after_write = False
            raise OutageError("gone before an answer.")
        return number

    def find(self, trial):
        found = [t.number for t in super().trials() if t.datetime_start == trial.datetime_start]
        return found[0] if found else None

    def set_attribute(self, key, value):
        if self.out:
            raise OutageError("gone fishing.")
        super().set_attribute(key, value)


class Clock:
    """Goes on only when somebody rests."""

    def __init__(self):
        self.now = 0.0
        self.after = {}

    def __call__(self):
        return self.now

    def rest(self, seconds):
        self.now += seconds
        for moment in [m for m in self.after if m <= self.now]:
            self.after.pop(moment)()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def storage(tmp_path):
    return Failing(tmp_path / "s.journal", name="s", directions=TWO)


@pytest.fixture
def ledger(storage, clock, tmp_path):
    patient = PatientLedger(storage, retry_s=60.0, folder=tmp_path, clock=clock, rest=clock.rest)
    with patient:
        yield patient


def stored(tmp_path):
    with open_ledger(tmp_path / "s.journal", name="s", read_only=True) as reader:
        return [content(trial) for trial in reader.trials()]


def wanted(count):
    return [content(finished_trial(index)) for index in range(count)]


def test_what_cannot_be_written_waits_and_is_written_in_order(ledger, storage, clock, tmp_path):
    assert ledger.append(finished_trial(0)) == 0
    storage.out = True
    assert [ledger.append(finished_trial(index)) for index in (1, 2, 3)] == [1, 2, 3]
    assert ledger.waiting == 3
    assert stored(tmp_path) == wanted(1)
    clock.rest(4.0)
    ledger.tick()
    assert ledger.waiting == 3
    storage.out = False
    clock.rest(4.0)
    ledger.tick()
    assert ledger.waiting == 0
    assert ledger.append(finished_trial(4)) == 4
    assert stored(tmp_path) == wanted(5)


def test_it_is_not_tried_all_the_time(ledger, storage):
    storage.out = True
    for index in range(50):
        ledger.append(finished_trial(index))
    assert storage.tries == 1


def test_after_the_stated_time_it_gives_up(ledger, storage, clock):
    storage.out = True
    ledger.append(finished_trial(0))
    clock.rest(59.0)
    with pytest.warns(NpuTuneWarning, match="gone fishing"):
        ledger.tick()
    clock.rest(1.0)
    with pytest.raises(OutageError, match="gone fishing"):
        ledger.tick()
    assert ledger.waiting == 1
    assert [content(trial) for trial in ledger.in_memory[0]] == wanted(1)


def test_each_outage_has_its_own_time(ledger, storage, clock, tmp_path):
    for index in range(3):
        storage.out = True
        ledger.append(finished_trial(index))
        clock.rest(40.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NpuTuneWarning)
            ledger.tick()
        storage.out = False
        clock.rest(10.0)
        ledger.tick()
    assert stored(tmp_path) == wanted(3)


def test_attributes_are_set_behind_what_waits_as_soon_as_that_is_written(ledger, storage, clock):
    storage.out = True
    ledger.append(finished_trial(0))
    clock.after[4.0] = lambda: setattr(storage, "out", False)
    ledger.set_attribute("stopped", "evaluations")
    assert ledger.waiting == 0
    assert ledger.attributes() == {"stopped": "evaluations"}


def test_a_trial_that_was_kept_before_the_connection_broke_is_not_written_twice(
    ledger, storage, clock, tmp_path
):
    storage.breaks_after_write = True
    ledger.append(finished_trial(0))
    ledger.append(finished_trial(1))
    clock.rest(5.0)
    ledger.tick()
    assert stored(tmp_path) == wanted(2)


@pytest.mark.parametrize("call", ["trials", "attributes", "set_attribute"])
def test_what_is_asked_while_nothing_waits_gives_up_after_the_stated_time_too(
    ledger, storage, clock, monkeypatch, call
):
    def fail(*_):
        raise OutageError("gone fishing.")

    ledger.append(finished_trial(0))
    monkeypatch.setattr(storage, call, fail)
    arguments = ("stopped", "evaluations") if call == "set_attribute" else ()
    with (
        pytest.warns(NpuTuneWarning, match="tried again for 60 s in all"),
        pytest.raises(OutageError, match="gone fishing"),
    ):
        getattr(ledger, call)(*arguments)
    assert 60.0 <= clock.now < 70.0


def test_a_folder_that_is_not_watched_yet_may_come_and_go(storage, clock, tmp_path):
    folder = tmp_path / "study"
    with PatientLedger(storage, retry_s=60.0, clock=clock, rest=clock.rest) as ledger:
        ledger.append(finished_trial(0))
        folder.mkdir()
        ledger.watch_folder(folder)
        ledger.tick()
        folder.rmdir()
        with pytest.raises(LostStorageError, match="was removed"):
            ledger.tick()


def test_with_no_patience_the_first_failure_counts(storage, clock):
    storage.out = True
    with PatientLedger(storage, retry_s=0.0, clock=clock) as ledger, pytest.raises(OutageError):
        ledger.append(finished_trial(0))


def test_a_file_that_went_is_no_outage(ledger, tmp_path):
    ledger.append(finished_trial(0))
    (tmp_path / "s.journal").unlink()
    with pytest.raises(LostStorageError, match="was removed"):
        ledger.append(finished_trial(1))
    assert [content(trial) for trial in ledger.in_memory[0]] == wanted(2)
    assert ledger.waiting == 1
