"""SECURITY.md names the test that holds each promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_holds_a_promise_is_there(file: str, name: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {name or 'test_'}" in text


def test_promises_have_tests() -> None:
    assert len(NAMED) > 8


def test_the_limits_of_the_page_are_those_that_files_are_read_with() -> None:
    text = (ROOT / "tests/support/hostile_runs.py").read_text(encoding="utf-8")
    seconds, gigabytes = re.findall(r"within (\d+) s of computing and (\d+) GB", PAGE)[0]
    assert f"MOST_SECONDS = {seconds}\n" in text
    assert f"MOST_BYTES = {gigabytes}_000_000_000\n" in text
