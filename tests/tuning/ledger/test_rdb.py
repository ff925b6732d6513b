from __future__ import annotations

import multiprocessing
import sqlite3
import sys

import optuna
import pytest
from dashboards import optuna_storage
from optuna.distributions import IntDistribution
from servers import KINDS, cut_connections
from trials import content, finished_trial, write_one

from npu_tune.errors import MissingExtraError, StorageError, UsageError
from npu_tune.tuning.ledger import open_ledger, rdb
from npu_tune.tuning.packed import pack_attributes

TWO = ("minimize", "maximize")


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_processes_that_find_an_empty_database_at_once_all_succeed(kind, place_of):
    place = place_of(kind)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        studies = [(place, f"study{number}") for number in range(4)]
        assert pool.starmap(write_one, studies, chunksize=1) == [0, 0, 0, 0]


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_after_a_lost_connection_the_same_call_succeeds_once(kind, place_of):
    place = place_of(kind)
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.append(finished_trial(0))
        cut_connections(place)
        try:  # Redis's driver may have noticed
            number = ledger.append(finished_trial(1))
        except StorageError:
            number = ledger.append(finished_trial(1))
        assert number == 1
        assert [trial.values[0] for trial in ledger.trials()] == [0, 1]
        with pytest.raises(StorageError, match="Another process"):
            open_ledger(place, name="s", directions=TWO)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_trial_that_was_kept_before_the_connection_broke_is_found_again(kind, place_of):
    with open_ledger(place_of(kind), name="s", directions=TWO) as ledger:
        for index in range(3):
            ledger.append(finished_trial(index))
        assert [ledger.find(finished_trial(index)) for index in (1, 2, 3)] == [1, 2, None]


@pytest.mark.server
def test_what_comes_in_one_go_beside_other_drivers_is_what_else_comes_table_by_table(place_of):
    place = place_of("postgresql")
    trials = [finished_trial(index) for index in range(5)]
    trials[2].values = [float("inf"), -0.1 - 0.2]
    trials[3].user_attrs = {"profile": {"ä": [1e-308, 3]}, "Profile": "😀" * 100, "none": None}
    trials[3].intermediate_values = {0: 2.0, 7: float("-inf")}
    with open_ledger(place, name="s", directions=TWO) as ledger:
        for trial in trials:
            ledger.append(trial)
        ledger.place.share("{}")
        with open_ledger(place, name="s", read_only=True) as reader:
            for span in ((1,), (2, 4), (5,)):
                few, all_ = ledger.trials_from(*span), reader.trials_from(*span)
                assert [content(trial) for trial in few] == [content(trial) for trial in all_]
                kinds = [[type(v) for v in (*t.params.values(), *t.values)] for t in few]
                assert kinds == [[type(v) for v in (*t.params.values(), *t.values)] for t in all_]
                assert [t.intermediate_values for t in few] == [
                    t.intermediate_values for t in all_
                ]
        assert len(few) == 0


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_large_attributes_and_awkward_numbers_and_names_come_back(kind, place_of):
    trial = finished_trial(0)
    trial.user_attrs = {"profile": "😀é" * 60_000, "Profile": 1e-308, "x": 0.1 + 0.2}
    trial.values = [0.1 + 0.2, 1.7976931348623157e308]
    trial.distributions = trial.distributions | {"conv/Block": IntDistribution(0, 9)}
    trial.params = trial.params | {"conv/Block": 3}
    place = place_of(kind)
    with open_ledger(place, name="s", directions=TWO) as ledger:
        ledger.append(trial)
        assert content(ledger.trials()[0]) == content(trial)
    with open_ledger(place, name="S", directions=TWO) as other:
        assert other.trials() == []


@pytest.mark.server
def test_mysql_tables_that_optuna_made_are_widened(place_of):
    place = place_of("mysql")
    study = optuna.create_study(
        study_name="s", storage=optuna_storage(place), directions=["minimize"] * 2
    )
    study.add_trial(finished_trial(0))
    with open_ledger(place, name="s", directions=["minimize"] * 2) as ledger:
        trial = finished_trial(1)
        trial.user_attrs = {"profile": "x" * 100_000}
        assert ledger.append(trial) == 1
        assert content(ledger.trials()[1]) == content(trial)


@pytest.mark.parametrize(
    "harm",
    [
        "trial_user_attributes SET value_json = '{'",
        "trial_user_attributes SET value_json = replace(hex(zeroblob(50000)), '0', '[')",
        "trial_params SET param_value = 77",
        "trial_params SET distribution_json = '[]'",
    ],
)
def test_a_damaged_trial_is_named(tmp_path, harm):
    place = f"sqlite:///{tmp_path / 's.db'}"
    with open_ledger(place, name="s", directions=TWO) as ledger:
        for index in range(3):
            ledger.append(finished_trial(index))
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute(f"UPDATE {harm} WHERE trial_id = 2")
    with (
        open_ledger(place, name="s", read_only=True) as ledger,
        pytest.raises(StorageError, match="trial 1 is damaged"),
    ):
        ledger.trials()


def test_trials_with_unlike_parameters_are_read_as_they_are(place):
    trials = [finished_trial(index) for index in range(5)]
    del trials[1].params["conv/block"], trials[1].distributions["conv/block"]
    trials[3].params, trials[3].distributions = {}, {}
    with open_ledger(place, name="s", directions=TWO) as ledger:
        for trial in trials:
            ledger.append(trial)
        assert [content(trial) for trial in ledger.trials()] == [content(t) for t in trials]


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://me:secret@127.0.0.1:1/db",
        "mysql://me:secret@127.0.0.1:1/db",
        "redis://me:secret@127.0.0.1:1/0",
    ],
)
def test_an_unreachable_server_is_a_storage_error_without_the_password(place):
    with pytest.raises(StorageError, match="failed") as caught:
        open_ledger(place, name="s", directions=TWO)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "package", "extra"),
    [
        ("postgresql://h/d", "psycopg", "postgres"),
        ("mariadb://h/d", "pymysql", "mysql"),
        ("redis://h/0", "redis", "redis"),
    ],
)
def test_a_missing_driver_is_told_with_the_extra_that_brings_it(
    place, package, extra, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("redis_ledger", "redis_claim"):
        monkeypatch.delitem(sys.modules, f"npu_tune.tuning.ledger.{module}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"npu-tune\[{extra}\]"):
        open_ledger(place, name="s", directions=TWO)


@pytest.mark.parametrize("url", ["oracle://host/db", "mongodb://host", "://"])
def test_unknown_storages_are_refused(url):
    with pytest.raises(UsageError):
        open_ledger(url, name="s", directions=TWO)


def test_a_failed_append_leaves_nothing_and_can_be_tried_again(tmp_path):
    file = tmp_path / "study.db"
    with open_ledger(f"sqlite:///{file}", name="s", directions=TWO) as ledger:
        ledger.append(finished_trial(0))
        with sqlite3.connect(file) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON trial_user_attributes"
                " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        with pytest.raises(StorageError, match="disk full"):
            ledger.append(finished_trial(1))
        assert len(ledger.trials()) == 1
        with sqlite3.connect(file) as other:
            other.execute("DROP TRIGGER full")
        assert ledger.append(finished_trial(1)) == 1
        assert [content(t) for t in ledger.trials()] == [
            content(finished_trial(i)) for i in range(2)
        ]


def test_tables_of_an_unknown_version_are_left_to_optuna(tmp_path, monkeypatch):
    monkeypatch.setattr(rdb, "RDB_REVISION", "another")
    with open_ledger(f"sqlite:///{tmp_path / 's.db'}", name="s", directions=TWO) as ledger:
        trials = [finished_trial(i) for i in range(3)]
        for trial in trials:
            trial.user_attrs = pack_attributes(trial.user_attrs)
        assert [ledger.append(trial) for trial in trials] == [0, 1, 2]
        assert [content(t) for t in ledger.trials()] == [
            content(finished_trial(i)) for i in range(3)
        ]


def test_a_closed_sqlite_study_is_one_file(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 's.db'}", name="s", directions=TWO) as ledger:
        ledger.append(finished_trial(0))
    copied = tmp_path / "copy.db"
    copied.write_bytes((tmp_path / "s.db").read_bytes())
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{copied}")
    assert len(study.trials) == 1


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path):
    (tmp_path / "s.db").write_text("not a database at all, but long enough to look at" * 10)
    with pytest.raises(StorageError, match="no SQLite database"):
        open_ledger(f"sqlite:///{tmp_path / 's.db'}", name="s", directions=TWO)
