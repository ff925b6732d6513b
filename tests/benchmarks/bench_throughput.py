"""How many trials a second a study makes on the simulator, by processes and by Ray.

    python tests/benchmarks/bench_throughput.py

Studies from end to end: a network of the package on the simulated STM32N6, a journal, two workers,
no cache. A trial that repeats a configuration is answered without an evaluation, so that both
are counted. The clock runs from the baseline, the first evaluation, to the last trial: starting
workers, and Ray itself, is no part of it. The last line is a network of one layer whose evaluation does
next to nothing, on one worker: what a trial takes there beyond one in the driver is the executor's.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does
os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from fake_studies import run_fake

import npu_tune
from npu_tune.network import zoo_network
from npu_tune.targets import load_target

TARGET = "neural-art-stm32n6"
LEAST_PER_S, LEAST_SHARE, MOST_MS = 400.0, 0.8, 5.0
EXECUTORS = ("process", "ray")


class Watch:
    """Notes when the first evaluation was done, and when the last trial."""

    def __init__(self) -> None:
        self.first: tuple[float, int, int] | None = None
        self.last = (0.0, 0, 0)

    def __call__(self, progress: Any) -> None:
        trials = progress.evaluations + progress.duplicates
        now = time.perf_counter(), trials, progress.evaluations
        if self.first is None and progress.evaluations > 0:
            self.first = now
        if now[1:] != self.last[1:]:
            self.last = now

    def rates(self) -> tuple[float, float]:
        """Trials and evaluations per second."""
        begin, end = self.first or self.last, self.last
        seconds = max(end[0] - begin[0], 1e-9)
        return (end[1] - begin[1]) / seconds, (end[2] - begin[2]) / seconds


def main() -> None:
    options = _options()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        is_good = _studies(Path(folder), options) & _handing_over(Path(folder), options)
    sys.exit(0 if is_good else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--networks", nargs="+", default=["autoencoder", "ds-cnn"])
    parser.add_argument("--sampler", default="layerwise")
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--no-op", type=int, default=1000, help="evaluations that do nothing")
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=EXECUTORS)
    return parser.parse_args()


def _studies(folder: Path, options: argparse.Namespace) -> bool:
    print(f"{TARGET}, {options.sampler}, {options.evaluations} evaluations, two workers")
    print(f"{'network':>16}{'knobs':>7}{'executor':>10}{'trials/s':>10}{'evaluated/s':>13}")
    is_good = True
    for name in options.networks:
        with load_target(TARGET).bind(zoo_network(name)) as problem:
            knobs = len(problem.space.knobs)
        reached = {}
        for executor in options.executors:
            watch = Watch()
            npu_tune.tune(
                name,
                TARGET,
                study=folder / f"{name}-{executor}",
                evaluations=options.evaluations,
                sampler=options.sampler,
                executor=executor,
                workers=2,
                listener=watch,
            )
            reached[executor], evaluated = watch.rates()
            print(
                f"{name:>16}{knobs:>7}{executor:>10}{reached[executor]:>10.0f}{evaluated:>13.0f}",
                flush=True,
            )
        is_good &= reached.get("process", LEAST_PER_S) >= LEAST_PER_S
        if len(reached) == len(EXECUTORS):
            share = reached["ray"] / reached["process"]
            print(f"{'Ray reaches':>33}{share:>10.0%}")
            is_good &= share >= LEAST_SHARE
    return is_good


def _handing_over(folder: Path, options: argparse.Namespace) -> bool:
    taken = {}
    for executor in ("inline", *options.executors):
        watch = Watch()
        run_fake(
            folder / f"no-op-{executor}",
            options.no_op,
            listener=watch,
            sampler={"name": "random"},
            executor={"kind": executor, "workers": 1},
        )
        taken[executor] = 1e3 / watch.rates()[0]
    for executor in options.executors:
        more = taken[executor] - taken["inline"]
        print(f"{executor}: {more:.2f} ms per trial more than in the driver, at a no-op")
    return "ray" not in taken or taken["ray"] - taken["inline"] <= MOST_MS


if __name__ == "__main__":
    main()
