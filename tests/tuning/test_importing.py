from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3

import optuna
import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import (
    FailingTarget,
    LayeredTarget,
    NoisyTarget,
    Where,
    fake_network,
)
from foreign_studies import NAME, write_foreign
from imports_together import import_beside, meet
from servers import KINDS

from npu_tune.errors import StorageError, UsageError
from npu_tune.tuning import load_study_file, read_study, run_study
from npu_tune.tuning.importing import import_study
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.ledger.optuna_storage import open_optuna_storage

LAYERWISE = {"name": "layerwise"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_goes_on_in_another_storage_as_it_would_have_where_it_was(
    kind, place_of, tmp_path
):
    run_fake(tmp_path / "old", 6, sampler=LAYERWISE)
    storage = None if kind == "journal" else place_of(kind)
    done = import_study(str(tmp_path / "old"), str(tmp_path / "new"), storage=storage)
    again = import_study(str(tmp_path / "old"), str(tmp_path / "new"), storage=storage)
    assert (done.new, again.new) == (done.trials, 0)
    assert story(read_study(tmp_path / "new")) == story(read_study(tmp_path / "old"))

    study = load_study_file(tmp_path / "new" / "study.toml")
    section = study.study.model_copy(update={"evaluations": 12})
    resumed = run_study(
        study.model_copy(update={"study": section}),
        network=fake_network(),
        target=LayeredTarget(),
    )
    whole = run_fake(tmp_path / "whole", 12, sampler=LAYERWISE)
    assert story(resumed) == story(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_comes_back_from_any_storage(kind, place_of, tmp_path):
    place = place_of(kind)
    run_fake(tmp_path / "old", 6, study={"storage": place})
    back = str(tmp_path / "back.db")
    done = import_study(place, f"sqlite:///{back}")
    assert done.place == f"sqlite:///{back}"
    with (
        open_ledger(place, name="test", read_only=True) as one,
        open_ledger(f"sqlite:///{back}", name="test", read_only=True) as other,
    ):
        assert one.attributes() == other.attributes()
        assert one.note() == other.note()
        assert [t.user_attrs for t in one.trials()] == [t.user_attrs for t in other.trials()]


def test_a_copy_that_was_interrupted_is_taken_up_and_nothing_goes_on_with_half_of_it(
    tmp_path, monkeypatch
):
    run_fake(tmp_path / "old", 6)
    limit = 3
    kind = type(open_ledger(tmp_path / "probe", name="s", directions=["minimize"]))
    append = kind.append

    def stop(self, trial):
        if trial.number == limit:
            raise KeyboardInterrupt
        return append(self, trial)

    monkeypatch.setattr(kind, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        import_study(str(tmp_path / "old"), str(tmp_path / "new"))
    monkeypatch.undo()
    with pytest.raises(StorageError, match="did not write"):
        run_fake(tmp_path / "new", 6)
    done = import_study(str(tmp_path / "old"), str(tmp_path / "new"))
    assert done.new == done.trials - limit
    assert story(read_study(tmp_path / "new")) == story(read_study(tmp_path / "old"))


def test_another_study_in_the_new_place_is_left_alone(tmp_path):
    run_fake(tmp_path / "old", 6)
    run_fake(tmp_path / "other", 6, study={"seed": 1})
    with pytest.raises(StorageError, match="other trials"):
        import_study(str(tmp_path / "old"), str(tmp_path / "other"))


def test_a_study_that_npu_tune_did_not_write_is_refused(tmp_path):
    open_ledger(tmp_path / "s", name="s", directions=["minimize"]).close()
    with pytest.raises(UsageError, match="not written by npu-tune"):
        import_study(str(tmp_path / "s"), str(tmp_path / "t"), name="s")


@pytest.mark.server
def test_no_password_is_shown_of_where_a_study_is_now(place_of, tmp_path):
    place = place_of("postgresql")
    run_fake(tmp_path / "old", 3)
    secret = place.replace("@", ":secret@", 1)

    done = import_study(str(tmp_path / "old" / "ledger.journal"), secret, name="test")

    assert done.place == place.replace("@", ":***@", 1).replace(
        "postgresql:", "postgresql+psycopg:"
    )


def taken_over(place, tmp_path, *, evaluations=20, **options):
    return import_study(
        place,
        str(tmp_path / "new"),
        into=fake_study(tmp_path / "new", evaluations),
        network=fake_network(),
        target=LayeredTarget(),
        **options,
    )


def test_what_plain_optuna_tried_is_evaluated_here_from_any_storage(place, tmp_path):
    write_foreign(place, 6)
    done = taken_over(place, tmp_path, values=["cycles"])

    result = read_study(tmp_path / "new")
    assert (done.trials, done.new, result.stopped) == (7, 7, "imported")
    assert [trial.origin.partition(":")[0] for trial in result.trials] == ["baseline"] + 6 * [
        "start"
    ]
    assert [t.metrics["cycles"] for t in result.trials[1:]] == sorted(
        t.metrics["cycles"] for t in result.trials[1:]
    )
    (found,) = done.summary.agreements
    assert (found.metric, found.trials, found.difference) == ("cycles", 6, 0.0)
    assert done.summary.imported.states == {"complete": 6}


def test_a_study_that_took_another_one_over_searches_on_with_all_of_it(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 6)
    assert taken_over(place, tmp_path, evaluations=4).new == 4
    partly = taken_over(place, tmp_path, evaluations=4)
    assert (partly.new, partly.summary.evaluated) == (0, 3)
    assert partly.summary.waiting + partly.summary.imported.left_out == 3

    whole = taken_over(place, tmp_path, evaluations=20)
    assert (whole.trials, whole.new) == (7, 3)
    result = run_fake(tmp_path / "new", 20)
    origins = [trial.origin for trial in result.trials]
    assert len(set(origins[1:7])) == 6
    assert set(origins[7:]) == {"sampler"}
    write_more(place)
    grown = taken_over(place, tmp_path, evaluations=30)
    assert (grown.new, grown.summary.imported.states) == (1, {"complete": 6, "waiting": 1})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", pytest.param("postgresql", marks=pytest.mark.server)])
def test_a_study_is_taken_over_by_two_drivers_together(kind, place_of, tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 40)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, meet, (context.Barrier(2, timeout=120),)) as pool:
        given = [(place, place_of(kind), tmp_path, number) for number in range(2)]
        ends = pool.starmap(import_beside, given, chunksize=1)

    assert "imported" in ends  # the other one may have ended before
    result = read_study(tmp_path / "new-0")
    assert result.stopped == "imported"
    origins = [trial.origin for trial in result.trials]
    assert (len(origins), len(set(origins)), origins[0]) == (41, 41, "baseline")
    assert all(origin.startswith("start: imported") for origin in origins[1:])
    assert [trial.number for trial in result.trials] == list(range(41))
    lines = (tmp_path / "log").read_text().splitlines()
    assert len({line.split()[0] for line in lines}) == 2


def write_more(place: str) -> None:
    with open_optuna_storage(place) as storage:
        optuna.load_study(study_name=NAME, storage=storage).enqueue_trial({"layer1/block": 1})


def test_what_was_begun_is_finished_by_the_search_where_the_import_was_cut_short(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 6)
    calls = 0

    def stop(progress):
        nonlocal calls
        calls += progress.finished == 3
        if calls == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    done = taken_over(place, tmp_path, listener=stop)
    assert done.summary.stopped == "interrupted"
    assert 0 < done.summary.evaluated < 6
    result = run_fake(tmp_path / "new", 20)
    assert [t.origin.startswith("start: imported") for t in result.trials[:9]] == [
        False,
        *6 * [True],
        False,
        False,
    ]


def test_numbers_that_differ_and_metrics_that_are_called_alike_are_said(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 3, offset=-20.0)
    nameless = taken_over(place, tmp_path)
    assert nameless.summary.agreements == ()
    (found,) = taken_over(place, tmp_path, values=["cycles"]).summary.agreements
    assert (found.difference, found.trials) == (20.0, 3)
    assert 0 < found.share < 0.01


def test_a_configuration_that_fails_here_is_counted(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 4)
    done = import_study(
        place,
        str(tmp_path / "new"),
        into=fake_study(tmp_path / "new"),
        network=fake_network(),
        target=FailingTarget(LayeredTarget(), Where("layer1/traversal", "part")),
    )
    assert 0 < done.summary.failed < done.summary.evaluated == 4


def test_a_study_whose_evaluations_differ_takes_all_of_another_one_over(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 4)
    done = import_study(
        place,
        str(tmp_path / "new"),
        into=fake_study(tmp_path / "new", 60),
        network=fake_network(),
        target=NoisyTarget(LayeredTarget()),
        values=["cycles"],
    )
    assert (done.summary.evaluated, done.summary.stopped) == (4, "imported")


def test_of_several_studies_one_is_named_and_of_none_that_is_said(place, tmp_path):
    write_foreign(place, 1, name="one")
    write_foreign(place, 1, name="other")
    with pytest.raises(UsageError, match="several studies: 'one', 'other'"):
        taken_over(place, tmp_path)
    assert taken_over(place, tmp_path, name="other").summary.evaluated == 1
    with pytest.raises(StorageError, match="'third'"):
        taken_over(place, tmp_path, name="third")


def test_what_does_not_belong_together_is_refused(tmp_path):
    place = str(tmp_path / "foreign.journal")
    write_foreign(place, 1)
    with pytest.raises(UsageError, match="not written by npu-tune") as refusal:
        import_study(place, str(tmp_path / "new"))
    assert "--model" in refusal.value.remedy
    with pytest.raises(UsageError, match="has 1 objective"):
        taken_over(place, tmp_path, values=["cycles", "sram_bytes"])
    assert not (tmp_path / "new").exists()
    run_fake(tmp_path / "own", 3)
    with pytest.raises(UsageError, match="says itself"):
        taken_over(str(tmp_path / "own"), tmp_path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing.journal", "no study in"),
        ("sqlite:///nothing.db", "no study in"),
        ("sqlite:///other.db", "no study in"),
        ("sqlite:///old.db", "another version"),
        ("old.db", "sqlite:///old.db"),
    ],
)
def test_a_source_without_a_study_that_can_be_read_says_so_and_stays_as_it_is(
    source, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_foreign("sqlite:///old.db", 1)
    for file, statement in (
        ("old.db", "UPDATE alembic_version SET version_num = 'v3.0.0.c'"),
        ("other.db", "CREATE TABLE other (number INTEGER)"),
    ):
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(StorageError) as refusal:
        taken_over(source, tmp_path)

    assert said in str(refusal.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
