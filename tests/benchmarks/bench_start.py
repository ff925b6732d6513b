"""How long a person waits at first: for the help, and for the first trial of a study.

    python tests/benchmarks/bench_start.py

Each is a process of its own, started anew every time. The first trial is that of `ds-cnn` with one
worker process: the network is bound, the search space made, a worker started and the compiler's
default evaluated. Wall-clock time, of which the median and the least are printed, because other work
on the machine only slows. Runs on earlier versions too, by `compare_versions.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated

HELP_S = 0.3
TARGETS = ("neural-art-stm32n6", "ethos-u55-128")
HELP = "from npu_tune.cli.main import main; main(['--help'])"
FIRST_TRIAL = """
import os, pathlib, sys
from npu_tune.tuning import parse_study, run_study

def leave(progress):
    if progress.evaluations:
        os._exit(0)

run_study(parse_study({
    "model": {"path": "ds-cnn"},
    "target": {"name": sys.argv[1]},
    "study": {"folder": sys.argv[2], "evaluations": 3},
    "executor": {"kind": "process", "workers": 1},
}, base=pathlib.Path.cwd()), listener=leave)
"""


def main() -> None:
    options = _options()
    rows = [_row("--help", HELP, options.starts), *_first_trials(options.starts)]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print(f"{'seconds until':<36}{'median':>9}{'least':>9}{'asked':>9}")
        for row in rows:
            asked = HELP_S if row["what"] == "--help" else "-"
            print(f"{row['what']:<36}{row['median_s']:>9.3f}{row['least_s']:>9.3f}{asked:>9}")
    sys.exit(0 if rows[0]["median_s"] <= HELP_S else 1)


def _first_trials(starts: int) -> list[dict[str, str | float]]:
    return [_row(f"first trial, {name}", FIRST_TRIAL, starts, name) for name in TARGETS]


def _row(what: str, program: str, starts: int, *arguments: str) -> dict[str, str | float]:
    _start(program, *arguments)  # leave out what is compiled and read from disk only once
    seconds = [_start(program, *arguments) for _ in range(starts)]
    return {"what": what, "median_s": statistics.median(seconds), "least_s": min(seconds)}


def _start(program: str, *arguments: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, *arguments, str(Path(folder) / "study")]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        return time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5, help="of each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
