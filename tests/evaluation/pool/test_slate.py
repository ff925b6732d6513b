from __future__ import annotations

import subprocess
import sys

import pytest

from npu_tune.evaluation.pool.children import temporary_file
from npu_tune.evaluation.pool.slate import Slate

KEY = "0123456789abcdef" * 2


@pytest.fixture
def file():
    with temporary_file() as opened:
        yield opened


@pytest.fixture
def slate(file):
    made = Slate(file.fileno())
    yield made
    made.close()


def test_an_empty_slate_says_that_nothing_is_under_way(slate):
    assert slate.read() is None


def test_what_is_under_way_is_read_with_its_time(slate, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    slate.note(KEY)
    monkeypatch.setattr("time.monotonic", lambda: 102.5)

    assert slate.read() == (KEY, 2.5)


def test_after_an_evaluation_nothing_is_under_way(slate):
    slate.note(KEY)
    slate.note(None)

    assert slate.read() is None


def test_a_shorter_key_leaves_nothing_of_a_longer_one(slate):
    slate.note(KEY)
    slate.note("ab")

    assert slate.read()[0] == "ab"


def test_a_parent_reads_what_another_process_has_noted(file, slate):
    program = (
        "import sys; from npu_tune.evaluation.pool.slate import Slate;"
        "Slate(int(sys.argv[1])).note(sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(file.fileno()), KEY],
        pass_fds=[file.fileno()],
        check=True,
    )

    assert slate.read()[0] == KEY
