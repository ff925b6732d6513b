"""How much faster two workers are than one, and how many evaluations really run at a time.

    python tests/benchmarks/bench_workers.py

The same random configurations of a real network on Ethos-U are evaluated by the process pool and
by Ray, with one worker and with two. Workers are warm when the clock starts. How many evaluations
run at a time is the time spent in them per second of wall time. Needs two idle cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from benchmark_networks import FILES, benchmark_network

from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.evaluation.pool import make_pool
from npu_tune.evaluation.pooled import PooledEvaluator
from npu_tune.space import Configuration
from npu_tune.targets import load_target
from npu_tune.testing import some_configurations
from npu_tune.tuning.run_sections import ExecutorSection

LEAST_SPEED_UP = 1.8


def main() -> None:
    options = _options()
    rows = [_row(kind, options) for kind in options.executors]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print("| executor | 1 worker | 2 workers | times faster | mean at a time |")
        print("|---|---|---|---|---|")
        for row in rows:
            print(
                "| {executor} | {one_s:.1f} s | {two_s:.1f} s | {speed_up:.2f} "
                "| {mean:.2f} |".format(**row)
            )
    reached = all(row["speed_up"] >= LEAST_SPEED_UP for row in rows)
    sys.exit(0 if reached else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=FILES, default="person_detect")
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--executors", nargs="+", default=["process", "ray"])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _row(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    one = _timed(kind, 1, options)
    two = _timed(kind, 2, options)
    return {
        "executor": kind,
        "one_s": one["wall_s"],
        "two_s": two["wall_s"],
        "speed_up": one["wall_s"] / two["wall_s"],
        "mean": two["mean"],
    }


def _timed(kind: str, workers: int, options: argparse.Namespace) -> dict[str, Any]:
    target, network = load_target("ethos-u55-128"), benchmark_network(options.network)
    section = ExecutorSection.model_validate({"kind": kind, "workers": workers})
    with target.bind(network) as problem:
        space = problem.space
        drawn = some_configurations(space, options.evaluations)
        configurations = [space.effective(configuration) for configuration in drawn]
        with PooledEvaluator(make_pool(section), problem) as evaluator:
            _run(evaluator, [space.default] * (2 * workers))
            start = time.perf_counter()
            seconds = _run(evaluator, configurations)
            wall = time.perf_counter() - start
    return {"wall_s": wall, "mean": sum(seconds) / wall}


def _run(evaluator: Evaluator, configurations: list[Configuration]) -> list[float]:
    """Evaluates everything; returns what each evaluation took."""
    waiting = list(enumerate(configurations))
    seconds: list[float] = []
    while len(seconds) < len(configurations):
        while waiting and evaluator.free:
            ticket, configuration = waiting.pop(0)
            evaluator.submit(ticket, Request(configuration, f"{ticket}"))
        finished = evaluator.wait(60.0)
        if finished is not None:
            seconds.append(finished.answer.seconds)
    return seconds


if __name__ == "__main__":
    main()
