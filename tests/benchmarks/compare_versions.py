"""Runs a benchmark of this checkout and of an earlier commit in turn, and prints the ratios.

    python tests/benchmarks/compare_versions.py HEAD~1 bench_simulation.py --configurations 1000

Each version runs its own copy of the benchmark on its own package, with the Python that runs this
program; an earlier version without that benchmark runs the one of this checkout. Machines drift, so that only figures of neighbouring runs are put in relation; the median
over rounds is printed. What the benchmark prints with ``--json`` is compared number by number.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        _git("worktree", "add", "--detach", str(earlier), options.commit)
        try:
            rounds = [(_run(HERE, options), _run(earlier, options)) for _ in range(options.rounds)]
        finally:
            _git("worktree", "remove", "--force", str(earlier))
    print(f"{'figure':<48}{'now':>12}{'earlier':>12}{'now / earlier':>15}")
    for name in rounds[0][0]:
        pairs = [(now[name], then[name]) for now, then in rounds if name in then]
        if not pairs or any(then == 0 for _, then in pairs):
            continue
        now, then = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:<48}{now:>12.4g}{then:>12.4g}{ratio:>15.3f}")


def _run(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """The numbers that one version prints, by their place in its JSON."""
    own, ours = (tree / "tests" / "benchmarks" / options.benchmark for tree in (checkout, HERE))
    script = own if own.exists() else ours
    done = subprocess.run(
        [sys.executable, str(script), "--json", *options.arguments],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=False,
    )
    return dict(_numbers(json.loads(done.stdout), ""))


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        label = next((str(v) for v in value.values() if isinstance(v, str)), "")
        for key, inner in value.items():
            yield from _numbers(inner, " ".join(filter(None, (place, label, key))))
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, float(value)


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(HERE), *arguments], check=True, stdout=subprocess.DEVNULL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", help="what to compare with")
    parser.add_argument("benchmark", help="its file name, such as bench_overhead.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the benchmark")
    return parser.parse_args()


if __name__ == "__main__":
    main()
