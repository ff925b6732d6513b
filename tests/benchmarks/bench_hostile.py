"""Gives ten thousand hostile files to what reads them, and says how each of them ended.

    python tests/benchmarks/bench_hostile.py
    python tests/benchmarks/bench_hostile.py --portion 3/20 --log hostile.jsonl

Files are damaged or made to mislead, each the same for the same number. Every one is read in a process
of its own that may have 2 GB of addresses and 10 s of computing, in a folder that is watched: for files
that appear outside, and, by Python's audit hook, for programs that are started, addresses that are
connected to, pickles that are loaded and files that are opened outside. A file has to be read, or
refused with a documented exit code, one sentence and a remedy; whatever else happens is printed and
makes the exit status 1. With a log, what stands there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parents[1] / "support"
FILES = {
    "tflite": 2500,
    "tflite bombs": 400,
    "onnx": 2500,
    "onnx bombs": 400,
    "npz": 1000,
    "study": 700,
    "comparison": 500,
    "hardware": 800,
    "command": 400,
    "plan": 300,
    "ini": 300,
    "recording": 200,
}
"""Of each kind, of ten thousand."""
WRONG = ("traceback", "crash", "hang", "memory", "outside")
"""Ends that no file may have."""


def main() -> None:
    options = _options()
    done = _logged(options.log)
    part, parts = options.portion
    wanted: list[str] = []
    for kind in options.kinds:
        count = math.ceil(FILES[kind] * options.files / sum(FILES.values()))
        numbers = range(count * (part - 1) // parts, count * part // parts)
        known = {each["number"] for each in done if each["kind"] == kind}
        left = [number for number in numbers if number not in known]
        if left:
            wanted += [kind, str(left[0]), str(left[-1] + 1)]
    done += _run(wanted, options.log) if wanted else []
    _print_table(done)
    sys.exit(1 if any(each["how"] in WRONG for each in done) else 0)


def _run(wanted: list[str], log: Path | None) -> list[dict[str, Any]]:
    """Runs files by kind, first and last number; what a line says is logged at once, so that a portion may be ended."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SUPPORT / "hostile_runs.py"), f"{folder}/scratch", *wanted]
        paths = [str(SUPPORT.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                found.append(json.loads(line))
                if log is not None:
                    with log.open("a", encoding="utf-8") as stream:
                        stream.write(line)
    if process.returncode:
        raise SystemExit(f"what runs the files ended with {process.returncode}")
    return found


def _print_table(done: list[dict[str, Any]]) -> None:
    columns = ("files", "read", "refused", *WRONG)
    print(
        f"{'kind':<14}" + "".join(f"{c:>10}" for c in columns) + f"{'slowest s':>11}{'most MB':>9}"
    )
    for kind in dict.fromkeys(each["kind"] for each in done):
        own = [each for each in done if each["kind"] == kind]
        print(_row(kind, own))
    print(_row("all", done))
    for each in done:
        if each["how"] in WRONG:
            print(f"{each['kind']} {each['number']}: {each['how']}: {each['said']}")
            print(f"    {' < '.join(reversed(each.get('where', [])))}")


def _row(name: str, own: list[dict[str, Any]]) -> str:
    counts = Counter(each["how"] for each in own)
    cells = [len(own), *(counts[how] for how in ("read", "refused", *WRONG))]
    slowest = max((each["computing_s"] for each in own), default=0.0)
    most = max((each["peak_mb"] for each in own), default=0)
    return f"{name:<14}" + "".join(f"{cell:>10}" for cell in cells) + f"{slowest:>11.2f}{most:>9}"


def _logged(log: Path | None) -> list[dict[str, Any]]:
    if log is None or not log.is_file():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def _portion(text: str) -> tuple[int, int]:
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part, parts


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=sum(FILES.values()), help="in all")
    parser.add_argument("--kinds", nargs="+", choices=FILES, default=list(FILES), metavar="KIND")
    parser.add_argument("--portion", type=_portion, default=(1, 1), help="such as 3/20")
    parser.add_argument("--log", type=Path, help="a file for what was found, of all portions")
    return parser.parse_args()


if __name__ == "__main__":
    main()
