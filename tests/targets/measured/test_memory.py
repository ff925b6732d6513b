from __future__ import annotations

import subprocess
import sys

import pytest

GROWING = """
import sys
from pathlib import Path

import numpy as np

from npu_tune.targets.measured import memory

if sys.argv[1:]:
    memory._CLEAR = Path(sys.argv[1])
peak = memory.PeakMemory()
held = np.ones(30_000_000, np.uint8)
more = np.ones(20_000_000, np.uint8)
first = peak.read()
del more
memory.give_back()
peak.restart()
print(first, peak.read(), held[0])
"""

IDLE = "from npu_tune.targets.measured import memory; print(memory.PeakMemory().read())"


def _in_a_process(code: str, *arguments: object) -> list[int]:
    """What a program prints: nothing else has raised its peak, or holds memory that it reuses."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in ended.stdout.split()]


def test_a_peak_counts_what_was_held_at_once():
    first, second, _ = _in_a_process(GROWING)
    assert first == pytest.approx(50_000_000, rel=0.1)
    assert second == pytest.approx(30_000_000, rel=0.1)


def test_where_the_peak_may_not_be_reset_it_is_that_of_the_whole_life(tmp_path):
    first, second, _ = _in_a_process(GROWING, tmp_path / "no" / "such file")
    assert second == pytest.approx(first, rel=0.01)
    assert first >= 45_000_000


def test_nothing_more_is_nothing():
    assert _in_a_process(IDLE)[0] < 1_000_000
