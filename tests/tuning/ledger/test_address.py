from __future__ import annotations

import os
import re
import stat
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import StorageError, StudyMismatchError, UsageError
from npu_tune.tuning import parse_study, run_study
from npu_tune.tuning.folder import write_study_folder
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.ledger.address import (
    check_address,
    check_place,
    has_password,
    is_same_place,
    journal_path,
    parse_url,
)

HUSHED = "hunter"
GOOD = [
    "trials.journal",
    "runs/../trials",
    "C:\\trials",
    "journal://trials",
    "journal:///tmp/trials",
    "sqlite:///trials.db",
    "sqlite:////tmp/trials.db",
    "sqlite+pysqlite:///trials.db?timeout=5",
    "postgresql://host/db",
    "postgresql+psycopg2://user@host:5432/db",
    "postgresql:///db?host=/var/run/postgresql",
    "postgresql://user:p%40ss@[::1]:5432/db?connect_timeout=3",
    "postgresql://host/db?application_name=a%40b",
    "mysql+pymysql://user:p%40ss@host:3306/db",
    "mariadb://user@host/db",
    "redis://:p%40ss@host:6379/0",
    "rediss://host",
]
WRONG = {
    "": "empty",
    "  ": "empty",
    "journal://": "empty",
    "sqlite://": "in memory",
    "sqlite:///": "in memory",
    "sqlite:///:memory:": "in memory",
    "sqlite:///file::memory:?cache=shared&uri=true": "in memory",
    "sqlite:///file:trials?mode=memory&uri=true": "in memory",
    "sqlite:///trials.db?mode=memory": "in memory",
    "sqlite:///trials?vfs=memdb": "in memory",
    "sqlite:///file:trials.db?uri=true": "URI",
    "sqlite:///trials.db?mode=ro&uri=true": "no option 'mode'",
    "sqlite:///trials.db?cache=shared": "no option 'cache'",
    "sqlite:///trials.db?timeout=soon": "'timeout' .* cannot be 'soon'",
    "sqlite:///trials.db?check_same_thread=maybe": "'check_same_thread'",
    "sqlite:///trials%00.db": "zero byte",
    "trials\0": "zero byte",
    ":memory:": "in memory",
    f"postgresql://user:{HUSHED}%00x@host/db": "zero byte",
    f"postgresql://user:{HUSHED}@.bad..host/db": "no name that a server can have",
    f"postgresql://user@{'h' * 64}/db": "no name that a server can have",
    "sqlite://trials.db": "three slashes",
    "sqlite+aiosqlite:///trials.db": "'aiosqlite'",
    "sqlite:trials.db": "neither a path nor an address",
    "SQLite:///trials.db": "Did you mean 'sqlite'",
    "postgres://host/db": "Did you mean 'postgresql'",
    "oracle://host/db": "'oracle'",
    "mysql://host": "names no database",
    "redis://host:6379/trials": "is a number",
    "http://host/db": "'http'",
    "file:///tmp/trials": "'file'",
    "://": "unknown kind",
    "postgresql://host:port/db": "a number from 1 to 65535",
    "postgresql://host:/db": "a number from 1 to 65535",
    "postgresql://host:65536/db": "a number from 1 to 65535",
    "postgresql://host/a b": "%20",
    f"postgresql:user:{HUSHED}@host/db": "neither a path nor an address",
    f"postgresql:/user:{HUSHED}@host/db": "neither a path nor an address",
    f"user:{HUSHED}@host/db": "neither a path nor an address",
    f"host=h dbname=d password={HUSHED}": "neither a path nor an address",
    f"postgresql://user:{HUSHED}": "no host and port",
    f"oracle://user:{HUSHED}@host/db": "'oracle'",
    f"postgresql://us er:{HUSHED}@host/db": "user name.*%20",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_names_a_file_or_a_database_is_taken(text):
    check_address(text)
    if journal_path(text) is None:
        parse_url(text)


@pytest.mark.parametrize(("text", "words"), WRONG.items())
def test_wrong_forms_are_refused_with_the_right_one_and_no_password(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        check_address(text)
    assert caught.value.remedy
    assert HUSHED not in f"{caught.value} {caught.value.data}"
    with pytest.raises(UsageError):
        open_ledger(text, name="s")


@pytest.mark.parametrize("mark", list("@:/?#% \t"))
def test_a_mark_in_a_password_is_named_as_it_must_be_written(mark):
    password = f"{HUSHED}{mark}{HUSHED}"
    with pytest.raises(UsageError, match=quote(mark, safe="")) as caught:
        check_address(f"postgresql://user:{password}@host:5432/db")
    assert HUSHED not in f"{caught.value} {caught.value.data}"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_an_escaped_password_of_any_kind_arrives_as_it_is(password):
    text = f"postgresql://user:{quote(password, safe='')}@host/db"
    check_address(text)
    assert parse_url(text).password == password
    assert has_password(text)


def has_a_mark(text: str) -> bool:
    """Whether it has a character that must be escaped, which %ab is already."""
    return bool(set(re.sub("%[ab]{2}", "", text)) & set("@:/?#% "))


@given(st.text("ab@:/?#% &=", min_size=1).filter(has_a_mark))
def test_a_password_with_a_mark_is_never_taken_for_host_or_database(password):
    with pytest.raises(UsageError):
        check_address(f"postgresql://user:{password}z@host:5432/db")


def test_a_password_among_the_options_is_hidden_like_any_other():
    text = f"postgresql://user@host/db?password={HUSHED}&connect_timeout=1"
    check_address(text)
    assert has_password(text)
    assert HUSHED not in parse_url(text).render_as_string(hide_password=True)


@pytest.mark.parametrize("form", ["{}", "journal://{}", "sqlite:///{}"])
def test_a_file_is_made_in_folders_that_are_there_or_in_the_studys_own(form, tmp_path):
    study = tmp_path / "runs" / "study"
    check_place(form.format(tmp_path / "trials"), folder=study)
    check_place(form.format(study / "trials"), folder=study)
    with pytest.raises(UsageError, match="not there"):
        check_place(form.format(tmp_path / "missing" / "trials"), folder=study)
    with pytest.raises(UsageError, match="is a folder"):
        check_place(form.format(tmp_path), folder=study)


def test_a_sqlite_path_is_looked_up_as_it_will_be_opened(tmp_path):
    (tmp_path / "dir name").mkdir()
    check_place(f"sqlite:///{tmp_path}/dir%20name/trials.db", folder=tmp_path)
    with pytest.raises(UsageError, match="is a folder"):
        check_place(f"sqlite:///{tmp_path}/dir%20name", folder=tmp_path)


@pytest.mark.parametrize("form", ["{}", "journal://{}", "sqlite:///{}"])
def test_devices_and_pipes_are_no_storages(form, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, "/dev/null"):
        with pytest.raises(UsageError, match="no regular file"):
            check_place(form.format(place), folder=tmp_path)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 3000])
def test_a_name_that_no_file_can_have_is_told_in_one_sentence(form, name, tmp_path):
    with pytest.raises(StorageError, match="Choose a shorter name"):
        check_place(form.format(tmp_path / name), folder=tmp_path)


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_file_of_something_else_is_refused_and_nothing_is_put_beside_it(form, tmp_path):
    file = tmp_path / "notes"
    file.write_text("hello\n")
    with pytest.raises(StorageError):
        open_ledger(form.format(file), name="s", directions=["minimize"])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("trials", "./trials", True),
        ("trials", "journal://trials", True),
        ("trials", "sqlite:///trials", True),
        ("trials", "trials2", False),
        ("postgresql://a:b@h/d", "postgresql+psycopg://c@h:5432/d?connect_timeout=3", True),
        ("postgresql://h/d", "postgresql://h/e", False),
        ("postgresql://h/d", "postgresql://g/d", False),
        ("postgresql://h/d", "d", False),
    ],
)
def test_places_are_the_same_whoever_logs_in(one, other, same):
    assert is_same_place(one, other) is same


def test_a_study_does_not_begin_anew_in_another_storage(tmp_path):
    run_study(_study(tmp_path, "trials.journal"))
    with pytest.raises(StudyMismatchError, match="another storage"):
        run_study(_study(tmp_path, "sqlite:///elsewhere.db"))
    assert not (tmp_path / "elsewhere.db").exists()
    assert len(run_study(_study(tmp_path, "journal://trials.journal")).trials) == 1


def _study(tmp_path, storage):
    document = {
        "model": {"path": "ds-cnn"},
        "target": {"name": "neural-art-stm32n6"},
        "study": {"storage": storage, "folder": tmp_path / "runs" / "s", "evaluations": 1},
        "executor": {"kind": "inline"},
    }
    return parse_study(document, base=tmp_path)


@pytest.mark.parametrize(
    "storage", ["sqlite:///missing/trials.db", "journal://missing/trials", "missing/trials"]
)
def test_where_no_file_can_be_made_nothing_is_left_behind(storage, tmp_path):
    with pytest.raises(UsageError, match="missing"):
        run_study(_study(tmp_path, storage))
    assert list(tmp_path.iterdir()) == []


def test_where_the_server_is_out_of_reach_no_empty_folder_is_left(tmp_path):
    with pytest.raises(OSError, match="failed"):
        run_study(_study(tmp_path, "postgresql://me:secret@127.0.0.1:1/db"))
    assert list(tmp_path.iterdir()) == []


def test_a_study_file_with_a_password_is_for_its_owner_alone(tmp_path):
    from npu_tune.network import load_network

    network = load_network("ds-cnn")
    modes = []
    for storage in ("postgresql://me:secret@127.0.0.1:1/db", "postgresql://me@127.0.0.1:1/db"):
        study = _study(tmp_path, storage)
        study.folder.mkdir(parents=True, exist_ok=True)
        write_study_folder(study, network)
        modes.append(stat.S_IMODE((study.folder / "study.toml").stat().st_mode))
    assert modes[0] == 0o600
    assert modes[1] & 0o077


@pytest.mark.parametrize("storage", [5, ["postgresql://me:hunter@h/d"]])
def test_what_is_no_text_is_refused_without_being_shown(storage, tmp_path):
    with pytest.raises(UsageError, match=r"study\.storage") as caught:
        _study(tmp_path, storage)
    assert HUSHED not in f"{caught.value} {caught.value.data} {caught.value.__cause__}"
