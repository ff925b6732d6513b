from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from npu_tune.errors import UsageError
from npu_tune.report.export.place import CHECKSUMS, DOCUMENT, put_in_place, write_checksums


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def put(out: Path, *, force: bool = False, **contents: str) -> None:
    """Puts a finished folder of some files in place, ``a_b`` for ``a/b``."""
    staged = out / ".work" / "new"
    staged.mkdir(parents=True)
    names = {name: name.replace("_", "/") for name in contents}
    for name, text in contents.items():
        (staged / names[name]).parent.mkdir(exist_ok=True)
        (staged / names[name]).write_text(text)
    document = {"schema": "npu-tune-export/1", "files": names | {"export": DOCUMENT}}
    (staged / DOCUMENT).write_text(json.dumps(document))
    write_checksums(staged)
    try:
        put_in_place(staged, out, force=force)
    finally:
        subprocess.run(["rm", "-r", out / ".work"], check=True)


def content(out: Path) -> dict[str, str]:
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_text() for path in files}


def test_sha256sum_finds_every_file_as_it_was_written(out):
    put(out, model="a", again_study="b")
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", CHECKSUMS],
        cwd=out, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(checked.stdout.split()) == {"again/study:", f"{DOCUMENT}:", "model:", "OK"}


def test_the_same_export_may_be_written_again(out):
    put(out, model="a")
    before = content(out)
    put(out, model="a")
    assert content(out) == before


def test_another_export_is_refused_and_nothing_changes(out):
    put(out, model="a")
    before = content(out)
    with pytest.raises(UsageError, match="holds another export"):
        put(out, model="b")
    assert content(out) == before


def test_with_force_nothing_of_an_earlier_export_is_left(out):
    put(out, model="a", again_study="b", table="c")
    (out / "notes.txt").write_text("mine")
    put(out, model="b", force=True)
    assert set(content(out)) == {"model", "notes.txt", DOCUMENT, CHECKSUMS}
    assert not (out / "again").exists()


def test_a_file_of_somebody_else_is_neither_listed_nor_taken_away(out):
    listed = {"schema": "npu-tune-export/1", "files": {"model": "../mine", "x": "/etc/hostname"}}
    (out / DOCUMENT).write_text(json.dumps(listed))
    (out.parent / "mine").write_text("mine")
    put(out, model="a", force=True)
    assert (out.parent / "mine").read_text() == "mine"


def test_a_link_in_an_export_of_somebody_else_leads_nowhere(out):
    listed = {"schema": "npu-tune-export/1", "files": {"model": "link/mine", "x": "a\0b"}}
    (out / DOCUMENT).write_text(json.dumps(listed))
    (out.parent / "mine").write_text("mine")
    (out / "link").symlink_to(out.parent)
    put(out, model="a", force=True)
    assert (out.parent / "mine").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"files": {"a": "notes.txt"}}'])
def test_a_document_that_is_none_of_an_export_lists_nothing(out, text):
    (out / DOCUMENT).write_text(text)
    (out / "notes.txt").write_text("mine")
    put(out, model="a", force=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_when_a_move_fails_all_is_as_it_was(out, monkeypatch):
    put(out, model="a", table="b")
    before, replace, failures = content(out), Path.replace, [OSError("no")]

    def failing(self: Path, target: Path) -> Path:
        if target == out / "table" and failures:
            raise failures.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no"):
        put(out, model="c", table="d", force=True)
    assert content(out) == before
