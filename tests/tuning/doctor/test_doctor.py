from __future__ import annotations

import itertools
import os
import sqlite3

import optuna
import pytest
from dashboards import optuna_storage
from servers import KINDS
from trials import finished_trial

from npu_tune.errors import StorageError
from npu_tune.tuning.doctor import examine_study
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.ledger.journal_shared import board_path
from npu_tune.tuning.sharing.board import Board, Reservation

TWO = ("minimize", "maximize")


def _write(place, count=3):
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.set_attribute("npu_tune", {"schema_version": 2, "target": "t"})
        for index in range(count):
            ledger.append(finished_trial(index))


def _read(place):
    with open_ledger(place, name="s", read_only=True) as ledger:
        return [(t.values[0], t.params["conv/block"], t.state.name) for t in ledger.trials()]


def _kinds(diagnosis):
    return [finding.kind for finding in diagnosis.findings]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_storage_has_nothing_wrong_and_stays_as_it_is(kind, place_of):
    place = place_of(kind)
    _write(place)
    diagnosis = examine_study(place, name="s", repair=True)
    assert (diagnosis.trials, diagnosis.findings, diagnosis.backup) == (3, (), None)


@pytest.mark.parametrize("kind", KINDS)
def test_trials_that_never_finished_are_told_and_marked_as_failed(kind, place_of, monkeypatch):
    place = place_of(kind)
    _write(place)
    study = optuna.load_study(study_name="s", storage=optuna_storage(place))
    study.ask()
    study.enqueue_trial({"conv/block": 1})
    told = examine_study(place, name="s")
    assert _kinds(told) == ["unfinished trial"] * 2
    assert len(told.left) == 2
    monkeypatch.chdir(_folder(place_of))
    repaired = examine_study(place, name="s", repair=True)
    assert repaired.left == ()
    assert repaired.backup.exists()
    assert examine_study(place, name="s").findings == ()


def _folder(place_of):
    return place_of("journal").rpartition("/")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_storage_that_is_written_is_left_alone(kind, place_of):
    place = place_of(kind)
    with open_ledger(place, name="s", directions=TWO):
        for repair in (False, True):
            with pytest.raises(StorageError, match="Another process is writing"):
                examine_study(place, name="s", repair=repair)


def test_every_flipped_byte_loses_its_record_alone_and_the_doctor_takes_it_out(tmp_path):
    path = tmp_path / "study.journal"
    _write(str(path), count=4)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    start = sum(map(len, lines[:-2]))  # of the last but one
    everything = _read(str(path))
    for offset in range(start, start + len(lines[-2])):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="doctor"):
            _read(str(path))
        if offset % 64 == 0:
            diagnosis = examine_study(str(path), name="s", repair=True)
            assert diagnosis.left == ()
            assert diagnosis.backup.read_bytes() == damaged
            diagnosis.backup.unlink()
            kept = _read(str(path))
            assert kept in ([*everything[:2], everything[3]], everything[:2])
            if damaged.count(b"\n") == whole.count(b"\n"):
                assert kept == [*everything[:2], everything[3]]


def test_wherever_a_journal_is_cut_in_its_last_records_the_others_are_read_as_they_were(tmp_path):
    path = tmp_path / "study.journal"
    _write(str(path), count=5)
    whole = path.read_bytes()
    everything = _read(str(path))
    lines = whole.splitlines(keepends=True)
    for cut in range(sum(map(len, lines[:-3])), len(whole)):
        path.write_bytes(whole[:cut])
        # A line that lacks nothing but its end is whole; the first two are no trials.
        count = sum(end - 1 <= cut for end in itertools.accumulate(map(len, lines))) - 2
        assert _read(str(path)) == everything[:count]
        if cut % 64 == 0 and whole[cut - 1 : cut] != b"\n":
            diagnosis = examine_study(str(path), name="s", repair=True)
            assert _kinds(diagnosis) == ["torn end"]
            diagnosis.backup.unlink()
            assert _read(str(path)) == everything[:count]


def test_a_journal_without_the_record_of_its_study_is_not_repairable(tmp_path):
    path = tmp_path / "study.journal"
    _write(str(path))
    content = path.read_bytes()
    path.write_bytes(b"X" + content[1:])
    diagnosis = examine_study(str(path), name="s", repair=True)
    assert "damaged record" in _kinds(diagnosis)
    assert diagnosis.left == diagnosis.findings
    assert path.read_bytes() == b"X" + content[1:]


def test_records_of_optuna_behind_a_damaged_trial_go_with_it(tmp_path):
    path = tmp_path / "study.journal"
    study = optuna.create_study(study_name="s", storage=optuna_storage(str(path)))
    study.optimize(lambda t: t.suggest_int("conv/block", 0, 9), n_trials=3)
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b'"op_code":4' in line)
    lines[first] = b"{}\n"
    path.write_bytes(b"".join(lines))
    examine_study(str(path), name="s", repair=True)
    again = optuna.load_study(study_name="s", storage=optuna_storage(str(path)))
    assert all(trial.value is None for trial in again.trials)


def test_locks_that_optuna_left_are_removed_once_they_are_old(tmp_path):
    path = tmp_path / "study.journal"
    _write(str(path))
    lock = tmp_path / "study.journal.lock"
    lock.symlink_to(path)
    with pytest.raises(StorageError, match="Another process"):
        examine_study(str(path), name="s")
    os.utime(lock, (0, 0), follow_symlinks=False)
    assert _kinds(examine_study(str(path), name="s")) == ["stale lock"]
    examine_study(str(path), name="s", repair=True)
    assert not lock.is_symlink()
    assert path.exists()


def test_damaged_rows_and_gaps_in_the_numbers_of_a_database_are_repaired(tmp_path):
    place = f"sqlite:///{tmp_path / 's.db'}"
    _write(place, count=5)
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute("UPDATE trial_params SET param_value = 77 WHERE trial_id = 2")
        other.execute("UPDATE trials SET number = 9 WHERE trial_id = 5")
    assert _kinds(examine_study(place, name="s")) == ["damaged record", "gap in numbers"]
    assert examine_study(place, name="s", repair=True).left == ()
    assert [value for value, *_ in _read(place)] == [0, 2, 3, 4]
    with open_ledger(place, name="s") as ledger:
        assert ledger.append(finished_trial(5)) == 4


@pytest.mark.server
def test_a_damaged_record_in_redis_is_taken_out_and_optuna_reads_the_rest(
    place_of, tmp_path, monkeypatch
):
    import redis

    place = place_of("redis")
    _write(place, count=4)
    with redis.Redis.from_url(place) as client:
        record = client.get(":log:3")
        client.set(":log:3", record.replace(b'"values":[1', b'"values":[7'))
    with pytest.raises(StorageError, match=r"Record 4 .* doctor"):
        _read(place)
    monkeypatch.chdir(tmp_path)
    diagnosis = examine_study(place, name="s", repair=True)
    assert _kinds(diagnosis) == ["damaged record"]
    assert diagnosis.backup.parent == tmp_path
    assert [value for value, *_ in _read(place)] == [0, 2, 3]
    study = optuna.load_study(study_name="s", storage=optuna_storage(place))
    assert [trial.values[0] for trial in study.trials] == [0, 2, 3]


def _killed_drivers(place):
    """Leaves a board as two drivers do that are killed while they share a study."""
    rows = {n: Reservation(n, driver, f"k{n}") for n, driver in ((3, "a"), (4, "a"), (5, "b"))}
    board = Board("e", 6, 3, reservations=rows, beats={"a": 1, "b": 2})
    with open_ledger(place, name="s") as ledger:
        ledger.place.share(board.text())
        # What a death leaves: the board, and none of the locks.


@pytest.mark.parametrize("kind", ["journal", pytest.param("postgresql", marks=pytest.mark.server)])
def test_what_drivers_left_that_were_all_killed_is_told_and_removed(kind, place_of, monkeypatch):
    place = place_of(kind)
    monkeypatch.chdir(_folder(place_of))
    _write(place)
    _killed_drivers(place)

    (told,) = examine_study(place, name="s").findings
    assert told.kind == "orphaned reservations"
    assert "(a: 3, 4; b: 5)" in told.what
    repaired = examine_study(place, name="s", repair=True)

    assert repaired.backup.is_file()
    assert examine_study(place, name="s").findings == ()
    assert len(_read(place)) == 3


@pytest.mark.parametrize("kind", ["journal", pytest.param("postgresql", marks=pytest.mark.server)])
@pytest.mark.parametrize("repair", [False, True])
def test_reservations_of_drivers_that_live_are_left_alone(kind, repair, place_of):
    place = place_of(kind)
    _write(place)
    with open_ledger(place, name="s") as ledger:
        ledger.place.share(Board("e", 3, 3, beats={"a": 1}).text())
        with pytest.raises(StorageError, match="Another process is writing"):
            examine_study(place, name="s", repair=repair)
        assert ledger.place.exchange(lambda text: (text, text))


def test_a_board_that_makes_no_sense_is_removed_as_well(tmp_path):
    place = str(tmp_path / "s.journal")
    _write(place)
    board_path(tmp_path / "s.journal").write_bytes(b"\xff{")
    assert _kinds(examine_study(place, name="s", repair=True)) == ["orphaned reservations"]
    assert (tmp_path / "s.journal.drivers.backup1").read_bytes() == b"\xff{"
    assert examine_study(place, name="s").findings == ()
