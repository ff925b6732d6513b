"""How much faster int8 is on this machine's CPU than BLAS and than the library's own float.

    python tests/benchmarks/bench_cpu_speed.py

Per network three programs run in turns in one process on one core: float32 by im2col and BLAS
(`tests/support/blas_baseline.py`), onnxruntime's float32 default, and int8 as `cpu-onnxruntime`
writes it: in all layers, or where that has less than 30 dB against float32, in all but as few of the
noisiest as it takes. With `--evaluations` the best of a study joins them. Times are processor time,
the least of a round, and the lower quintile over the rounds, as of a measurement. Weights are seeded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from blas_baseline import BlasNetwork
from cpu_problems import (
    LEAST_DB,
    in_int8,
    loaded,
    noisiest_in_float,
    problem_of,
    target,
    tune_for_time,
)
from float_networks import FLOAT_NETWORKS

from npu_tune.space import Configuration
from npu_tune.targets.measured.folding import float_graph
from npu_tune.targets.measured.machine import core_of_its_own, machine_name, raise_priority
from npu_tune.targets.measured.rounds import lower_quintiles, standard_error

LEAST = {"resnet50": (4.0, 2.2), "squeezenet": (4.0, 1.5)}
"""Times that int8 should be faster than BLAS and than the library's float."""

BLAS, FLOAT, INT8 = "BLAS float", "library float", "int8"


@dataclass(frozen=True)
class Row:
    """One program on one network.

    Args:
        network: its name.
        program: its name.
        decibels: against float32.
        ms: lower quintile over the rounds.
        over_blas: times faster.
        over_float: times faster than the library's float.
        error: relative standard error of the latter.
    """

    network: str
    program: str
    decibels: float
    ms: float
    over_blas: float
    over_float: float
    error: float


def main() -> None:
    options = _options()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported in a process
    print(f"{machine_name()}; one thread; {target().library}, NumPy {np.__version__}'s BLAS")
    print("| network | program | dB | ms | over BLAS float | over library float |")
    print("|---|---|---|---|---|---|")
    reached = True
    for network in options.networks:
        tuned = tune_for_time(network, options.evaluations).best if options.evaluations else None
        found = None if tuned is None else tuned.configuration
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            rows = fresh.apply(_measure, (network, options.rounds, found))
        for row in rows:
            print(
                f"| {row.network} | {row.program} | {row.decibels:.1f} | {row.ms:.2f} "
                f"| {row.over_blas:.2f}x | {row.over_float:.2f}x (± {row.error:.1%}) |"
            )
        reached &= _is_reached(rows[-1])
    sys.exit(0 if reached else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=FLOAT_NETWORKS,
        default=["resnet50", "squeezenet", "mobilenetv2"],
    )
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument(
        "--evaluations", type=int, default=0, help="of a study whose best is measured too"
    )
    return parser.parse_args()


def _is_reached(row: Row) -> bool:
    over_blas, over_float = LEAST.get(row.network, (0.0, 0.0))
    fast = row.over_blas >= over_blas and row.over_float >= over_float
    return fast and row.decibels >= LEAST_DB


def _measure(network: str, rounds: int, tuned: Configuration | None) -> list[Row]:
    """All programs on one network; the last row has at least 30 dB and is the fastest thought of."""
    with problem_of(network) as problem, tempfile.TemporaryDirectory() as folder:
        default = problem.space.default
        configurations = {FLOAT: default, f"{INT8}, all layers": in_int8(problem.space)}
        mixed = noisiest_in_float(problem)
        if mixed != in_int8(problem.space):
            layers = sum(value == INT8 for value in mixed.values())
            every = sum(value == INT8 for value in in_int8(problem.space).values())
            configurations[f"{INT8}, {layers} of {every} layers"] = mixed
        if tuned is not None:
            configurations["tuned"] = tuned
        runs = {BLAS: BlasNetwork(float_graph(FLOAT_NETWORKS[network]())).run}
        for number, (program, configuration) in enumerate(configurations.items()):
            runs[program] = loaded(problem, configuration, Path(folder) / str(number)).run
        feeds = problem._fidelity.feeds
        decibels = {
            program: problem._fidelity.decibels([tuple(run(feed)) for feed in feeds])
            for program, run in runs.items()
        }
        times = _time([lambda run=run: run(feeds[0]) for run in runs.values()], rounds)
    seconds = lower_quintiles(np.array(times).T)
    return [
        Row(
            network,
            program,
            decibels[program],
            float(seconds[number]) * 1e3,
            float(seconds[0] / seconds[number]),
            float(seconds[1] / seconds[number]),
            standard_error(np.stack([times[1], times[number]], axis=1)),
        )
        for number, program in enumerate(runs)
    ]


def _time(runs: list[Callable[[], Any]], rounds: int, timed: int = 2) -> np.ndarray:
    """Seconds of each program in each round; the first run after a switch is dropped."""
    least = np.full((len(runs), rounds), np.inf)
    with core_of_its_own():
        raise_priority()
        for index in range(rounds):
            for at, run in enumerate(runs):
                run()
                for _ in range(timed):
                    start = time.thread_time()
                    run()
                    least[at, index] = min(least[at, index], time.thread_time() - start)
    return least


if __name__ == "__main__":
    main()
