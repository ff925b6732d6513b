"""Hostile files are read or refused, within limits, and do nothing else: a few hundred of ten thousand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "bench_hostile.py"


@pytest.mark.slow
def test_hostile_files_are_read_or_refused_and_do_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    command = [sys.executable, str(BENCHMARK), "--files", "300", "--log", str(log)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(found) >= 300
    assert {each["how"] for each in found} == {"read", "refused"}
    assert {each.get("code", 2) for each in found} <= {2, 3, 4, 7, 10}
    assert len({each["kind"] for each in found if each["how"] == "read"}) > 6
