from __future__ import annotations

import errno
import os

import pytest

from npu_tune.errors import StorageError
from npu_tune.files import is_file, storage_errors, write_whole


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "can only be read"), (4711, "Otherwise.")],
)
def test_a_file_that_cannot_be_written_has_the_remedy_of_the_reason(number, remedy):
    with (
        pytest.raises(StorageError, match=remedy) as caught,
        storage_errors("The file", "out", remedy="Otherwise."),
    ):
        raise OSError(number, os.strerror(number))

    assert caught.value.message == f"The file out cannot be written: {os.strerror(number)}."


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("folder", "that is a folder"), ("x" * 300, "shorter name"), ("file/below", "a file where")],
)
def test_what_the_disk_itself_says_leads_to_the_remedy(tmp_path, name, remedy):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=remedy),
        storage_errors("The file", tmp_path / name, action="read"),
    ):
        (tmp_path / name).read_bytes()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError), storage_errors("The file", tmp_path / "out"):
        write_whole(tmp_path / "out", b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "nameless"])
def test_nothing_but_a_file_is_written_over(tmp_path, kind):
    path = tmp_path / "out" if kind != "nameless" else type(tmp_path)()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageError), storage_errors("The file", path):
        write_whole(path, b"new")
    assert sorted(tmp_path.iterdir()) == before
    assert not path.is_file()


@pytest.mark.parametrize("word", ["", "there", "x" * 5000, "no/" * 2000, "nul\0"])
def test_a_word_that_can_be_no_path_is_no_file(tmp_path, word):
    (tmp_path / "there").touch()
    assert is_file(tmp_path / word) is (word == "there")
