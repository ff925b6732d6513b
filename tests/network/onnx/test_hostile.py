from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hostile_onnx
import pytest


@pytest.mark.slow
def test_files_that_stand_for_gigabytes_are_refused_in_little_memory(tmp_path: Path) -> None:
    script = Path(hostile_onnx.__file__)
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert set(report["said"]) == set(hostile_onnx.FILES)
    for name, words in report["said"].items():
        assert all(each.startswith("3 ") for each in words.split(" / ")), (name, words)
        assert "damaged" not in words, (name, words)
    assert report["peak_bytes"] < 2_000_000_000
