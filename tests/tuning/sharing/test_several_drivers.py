"""Studies of several drivers from end to end, each a program of its own."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from fake_studies import run_fake, story, study_document
from fake_targets import Counting, LayeredTarget, NoisyTarget, SlowTarget
from several_drivers import Group, repeated, run_group

from npu_tune.tuning import read_study
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.ledger.shared import OtherWriterError

BUDGET = 60


@pytest.fixture(params=["journal", pytest.param("postgresql", marks=pytest.mark.server)])
def storage(request):
    if request.param == "journal":
        return None
    url, name = request.getfixturevalue("postgres_url"), f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url}/{name}"


def group_of(folder, storage, **sections) -> Group:
    study = {"name": "test"} | ({"storage": storage} if storage else {})
    sections = {"sampler": {"name": "layerwise"}} | sections
    document = study_document(folder, BUDGET, study=study | sections.pop("study", {}), **sections)
    target = Counting(SlowTarget(LayeredTarget(start_labels=("one",)), 0.02), folder / "log")
    return Group(folder, document, target, own_folders=storage is not None)


def check(run, budget=BUDGET):
    assert run.errors == []
    result = read_study(run.study)
    evaluated = [trial for trial in result.trials if trial.duplicate_of is None]
    assert len(evaluated) == budget
    assert len({trial.configuration for trial in evaluated}) == budget
    assert [trial.number for trial in result.trials] == list(range(len(result.trials)))
    origins = [trial.origin for trial in result.trials]
    assert (origins.count("baseline"), origins.count("start: one")) == (1, 1)
    assert result.stopped == "evaluations"
    assert result.baseline_again
    return result


@pytest.mark.slow
def test_two_drivers_share_a_study_and_evaluate_nothing_twice(tmp_path, storage):
    run = run_group(group_of(tmp_path, storage), drivers=2)

    check(run)
    assert repeated(run.log) == 1  # the baseline at the end
    assert len({pid for pid, _ in run.log}) == 2


@pytest.mark.slow
def test_drivers_polish_the_best_together(tmp_path, storage):
    run = run_group(group_of(tmp_path, storage, study={"polish": 12}), drivers=2)

    result = check(run)
    assert any(trial.origin.startswith("polish") for trial in result.trials)


@pytest.mark.slow
def test_what_killed_drivers_had_begun_is_done_by_others(tmp_path, storage):
    group = group_of(tmp_path, storage)
    run = run_group(group, drivers=2, kills=3, seed=2)

    check(run)
    assert run.killed == 3
    assert repeated(run.log) <= 1 + run.killed


def test_a_driver_that_is_alone_leaves_no_trace_of_sharing(tmp_path):
    result = run_fake(tmp_path / "s", 10)

    assert len(result.trials) == 10
    with open_ledger(tmp_path / "s" / "ledger.journal", name="test", read_only=True) as ledger:
        assert not any("driver" in trial.user_attrs for trial in ledger.trials())


def test_a_driver_that_nobody_joins_goes_on_as_if_nobody_had_knocked(tmp_path):
    whole = story(run_fake(tmp_path / "whole", 30, sampler={"name": "layerwise"}))
    folder = tmp_path / "s"

    def knock(progress) -> None:
        if progress.evaluations == 5:
            (folder / "ledger.journal.knock").touch()

    shared = run_fake(folder, 30, sampler={"name": "layerwise"}, listener=knock)
    assert story(shared) == whole


@pytest.mark.parametrize(
    ("target", "reason"), [(NoisyTarget(LayeredTarget()), "its evaluations differ")]
)
def test_a_study_that_cannot_be_shared_says_why(tmp_path, target, reason):
    run_fake(tmp_path / "s", 5, target=target)

    with (
        open_ledger(tmp_path / "s" / "ledger.journal", name="test"),
        pytest.raises(OtherWriterError, match=reason),
    ):
        run_fake(tmp_path / "s", 10, target=target)


def test_a_study_in_sqlite_has_one_driver(tmp_path):
    place = f"sqlite:///{tmp_path}/s.db"
    run_fake(tmp_path / "s", 5, study={"storage": place})

    with (
        open_ledger(place, name="test"),
        pytest.raises(OtherWriterError, match="kept in SQLite"),
    ):
        run_fake(tmp_path / "s", 10, study={"storage": place})


@pytest.mark.server
@pytest.mark.parametrize("kind", ["mysql", "redis"])
def test_a_study_where_drivers_cannot_agree_has_one(tmp_path, place_of, kind):
    place = place_of(kind)
    run_fake(tmp_path / "s", 5, study={"storage": place})

    with (
        open_ledger(place, name="test"),
        pytest.raises(OtherWriterError, match="cannot have several drivers where it is kept"),
    ):
        run_fake(tmp_path / "s", 10, study={"storage": place})
