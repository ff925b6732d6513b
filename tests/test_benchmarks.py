"""Checks that each benchmark, which runs seldom, still starts, and that some run in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "benchmarks").glob("*.py"))

SHORT = {
    "bench_cpu_speed": "--networks tiny --rounds 2",
    "bench_cpu_memory": "--networks tiny",
    "bench_cpu_endurance": "--evaluations 30",
    "bench_cpu_writing": "--networks tiny --configurations 3",
    "bench_bound_neural_art": "ds-cnn --evaluations 20",
}
"""Options with which benchmarks run within seconds, whatever the machine does beside them."""


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_starts_and_says_what_it_takes(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "usage:" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_benchmark_runs_in_short_and_reaches_what_it_should(name: str) -> None:
    path = Path(__file__).parent / "benchmarks" / f"{name}.py"
    ended = subprocess.run(
        [sys.executable, str(path), *SHORT[name].split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


NOISY = {
    "bench_busy": ("--workers 40 --nodes 4 --trials 200 --first 100 --knobs 12", 5),
    "bench_resume": ("--trials 40 --memory-trials 40 --storage journal", 4),
    "bench_cpu_noise": ("--networks tiny --runs 2 --busy 1 --occasions 2 --between 1", 4),
    "bench_cpu_mixed": ("--networks tiny --evaluations 12", 4),
}
"""The same, and how many lines are printed; what they reach beside other tests is not asserted."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISY)
def test_a_benchmark_of_what_varies_runs_in_short(name: str) -> None:
    path = Path(__file__).parent / "benchmarks" / f"{name}.py"
    short, lines = NOISY[name]
    ended = subprocess.run(
        [sys.executable, str(path), *short.split()], capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, 1), ended.stderr
    assert len(ended.stdout.splitlines()) == lines, ended.stderr
