"""Storages that go away, for good or for a while, under a running study."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import warnings
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import LayeredTarget, fake_network
from mariadb_server import mariadb_server
from postgres_server import postgres_server
from redis_server import redis_server
from servers import NoServerError, cut_connections

from npu_tune.errors import LostStorageError, NpuTuneWarning, OutageError, StudyMismatchError
from npu_tune.evaluation.evaluator import Evaluator
from npu_tune.tuning import load_study_file, read_study, run_study


class After:
    """A listener that does something once, when so many evaluations have finished."""

    def __init__(self, evaluations, act):
        self.evaluations, self.act, self.done = evaluations, act, False
        self.last = 0

    def __call__(self, progress):
        self.last = progress.evaluations
        if progress.evaluations >= self.evaluations and not self.done:
            self.done = True
            self.act()


class Busy(Evaluator):
    """Its one evaluation never ends; something happens while it goes on."""

    capacity = 1
    free = 1

    def __init__(self, act):
        self.act = act
        self.waited = 0

    def submit(self, ticket, request):
        self.free = 0

    def wait(self, timeout_s):
        self.waited += 1
        if self.waited == 3:
            self.act()
        assert self.waited < 10

    def close(self):
        pass


def cut(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def rewrite(path: Path) -> None:
    """The same size, another content."""
    content = path.read_bytes()
    path.write_bytes(content[:-300] + b" " * 299 + b"\n")


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def database(folder: Path, kind: str) -> dict[str, str]:
    """What a study file says of the storage, beside which the ledger of the folder stays."""
    return {} if kind == "journal" else {"storage": f"sqlite:///{folder.parent}/study.db"}


def ledger_of(folder: Path, kind: str) -> Path:
    return folder / "ledger.journal" if kind == "journal" else folder.parent / "study.db"


@pytest.mark.parametrize(
    ("kind", "harm"),
    [
        *(("journal", harm) for harm in (Path.unlink, cut, replace, rewrite, remove_folder)),
        *(("sqlite", harm) for harm in (Path.unlink, cut, replace)),
    ],
)
def test_a_storage_that_is_taken_away_ends_the_study_and_all_of_it_is_saved_beside(
    tmp_path, kind, harm
):
    folder = tmp_path / "studies" / "s"
    path = ledger_of(folder, kind)
    listener = After(12, lambda: harm(path))

    with pytest.raises(LostStorageError) as caught:
        run_fake(folder, 40, study=database(folder, kind), listener=listener)

    assert listener.last <= 13
    saved = folder.with_name("s.rescued1")
    assert str(saved / "ledger.journal") in str(caught.value)
    assert f"npu-tune run {saved / 'study.toml'}" in caught.value.remedy
    assert caught.value.exit_code == 7
    whole = run_fake(tmp_path / "whole", 40)
    kept = story(read_study(saved))
    assert len(kept) >= 12
    assert kept == story(whole)[: len(kept)]
    study = load_study_file(saved / "study.toml")
    resumed = run_study(study, network=fake_network(), target=LayeredTarget())
    assert story(resumed) == story(whole)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
@pytest.mark.parametrize("harm", [Path.unlink, cut, remove_folder])
def test_it_is_noticed_while_no_evaluation_ends(tmp_path, monkeypatch, kind, harm):
    folder = tmp_path / "studies" / "s"
    study = fake_study(folder, 5, study=database(folder, kind))
    run_study(study, network=fake_network(), target=LayeredTarget())
    evaluator = Busy(lambda: harm(ledger_of(folder, kind)))
    monkeypatch.setattr("npu_tune.tuning.evaluators.PooledEvaluator", lambda *_, **__: evaluator)

    more = fake_study(folder, 6, study=database(folder, kind))
    with pytest.raises(LostStorageError, match=r"rescued1/ledger\.journal"):
        run_study(more, network=fake_network(), target=LayeredTarget())

    assert evaluator.waited == 3


def test_a_study_whose_folder_alone_goes_is_saved_too(tmp_path):
    folder = tmp_path / "studies" / "s"
    listener = After(5, lambda: shutil.rmtree(folder))

    with pytest.raises(LostStorageError, match=r"study folder .* was removed"):
        run_fake(folder, 40, study=database(folder, "sqlite"), listener=listener)

    assert len(read_study(folder.with_name("s.rescued1")).trials) >= 5


def test_a_file_that_is_touched_only_is_the_same(tmp_path):
    listener = After(5, (tmp_path / "s" / "ledger.journal").touch)

    result = run_fake(tmp_path / "s", 20, listener=listener)

    assert listener.done
    assert result.stopped == "evaluations"


def test_a_removed_database_is_not_made_again_empty(tmp_path):
    path = ledger_of(tmp_path / "s", "sqlite")
    with pytest.raises(LostStorageError):
        run_fake(
            tmp_path / "s",
            40,
            study=database(tmp_path / "s", "sqlite"),
            listener=After(5, path.unlink),
        )

    assert not path.exists()


@contextmanager
def locked(path: Path):
    """Another connection holds SQLite's lock for writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Lock:
    """A listener that locks a database for the time between two numbers of evaluations."""

    def __init__(self, path, first, last):
        self.path, self.first, self.last = path, first, last
        self.lock = None
        self.seen = 0

    def __call__(self, progress):
        self.seen = progress.evaluations
        if progress.evaluations >= self.first and self.lock is None:
            self.lock = locked(self.path)
            self.lock.__enter__()
        if self.last is not None and progress.evaluations >= self.last and self.lock:
            self.lock.__exit__(None, None, None)
            self.last = None


def test_evaluations_go_on_while_a_database_is_locked_and_nothing_is_lost(tmp_path, capfd):
    folder = tmp_path / "s"
    listener = Lock(tmp_path / "study.db", 5, 15)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run_fake(folder, 30, study=database(folder, "sqlite"), listener=listener)

    assert story(result) == story(run_fake(tmp_path / "whole", 30))
    assert story(read_study(folder)) == story(result)
    assert capfd.readouterr().err == ""


def test_a_database_that_stays_locked_ends_the_study_with_everything_saved(tmp_path, capfd):
    folder = tmp_path / "s"
    listener = Lock(tmp_path / "study.db", 5, None)
    section = database(folder, "sqlite") | {"storage_retry": 0.6}

    with pytest.raises(OutageError, match="database is locked") as caught:
        run_fake(folder, 30, study=section, listener=listener)

    kept = story(read_study(tmp_path / "s.rescued1"))
    assert len(kept) > len(story(read_study(folder)))
    assert f"All {len(kept)} finished trials are kept" in caught.value.message
    assert kept == story(run_fake(tmp_path / "whole", 30))[: len(kept)]
    assert "Traceback" not in capfd.readouterr().err


def test_a_study_that_fails_for_another_reason_in_an_outage_saves_what_was_not_written(tmp_path):
    lock = Lock(tmp_path / "study.db", 5, None)

    def listener(progress):
        lock(progress)
        if progress.evaluations >= 10:
            raise KeyboardInterrupt

    section = database(tmp_path / "s", "sqlite") | {"storage_retry": 5}
    with pytest.raises(KeyboardInterrupt), pytest.warns(NpuTuneWarning, match="rescued1"):
        run_fake(tmp_path / "s", 30, study=section, listener=listener)

    assert len(read_study(tmp_path / "s.rescued1").trials) >= 10


@pytest.fixture(params=["postgresql", "mysql", "redis"])
def place_and_server(request):
    """A place for a ledger on a server of this test, which may restart it."""
    make, name = {
        "postgresql": (postgres_server, "postgres"),
        "mysql": (mariadb_server, "mysql"),
        "redis": (redis_server, "0"),
    }[request.param]
    try:
        with make() as server:
            yield f"{server}/{name}", server
    except NoServerError as reason:
        pytest.skip(str(reason))


@pytest.mark.server
@pytest.mark.slow
def test_a_server_that_restarts_or_cuts_connections_costs_nothing(
    tmp_path, place_and_server, capfd, monkeypatch
):
    # As outside of pytest, where warnings that no handler takes go to standard error.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    place, server = place_and_server
    first, second = After(5, lambda: cut_connections(place)), After(12, server.stop)
    third = After(20, server.start)

    def listener(progress):
        for each in (first, second, third):
            each(progress)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run_fake(tmp_path / "s", 30, study={"storage": place}, listener=listener)

    assert third.done
    assert story(result) == story(run_fake(tmp_path / "whole", 30))
    assert capfd.readouterr().err == ""


def test_another_name_in_the_same_ledger_is_refused_and_says_what_it_holds(tmp_path):
    run_fake(tmp_path / "s", 5)
    before = (tmp_path / "s" / "ledger.journal").read_bytes()

    with pytest.raises(StudyMismatchError, match=r"no study 'other' in .*, which holds 'test'"):
        run_fake(tmp_path / "s", 5, study={"name": "other"})

    assert (tmp_path / "s" / "ledger.journal").read_bytes() == before
    assert len(run_fake(tmp_path / "s", 6).trials) >= 6


def test_another_name_in_a_folder_s_database_is_refused_too(tmp_path):
    section = database(tmp_path / "s", "sqlite")
    run_fake(tmp_path / "s", 5, study=section)

    with pytest.raises(StudyMismatchError, match="holds 'test'"):
        run_fake(tmp_path / "s", 5, study=section | {"name": "other"})

    # A study with a folder of its own may share the database.
    assert len(run_fake(tmp_path / "t", 5, study=section | {"name": "other"}).trials) >= 5
