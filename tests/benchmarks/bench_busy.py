"""How busy one driver keeps a thousand workers, sampler by sampler, and what limits it.

    nice -n 10 python tests/benchmarks/bench_busy.py

The cluster is simulated event by event: evaluations of random durations on a made-up network, of
which 2 % fail, and two nodes that are lost with all that runs there. The driver is real: the loop
of a study with its sampler, its journal and its progress runs as `npu-tune run` runs it, and the
processor time that it takes between two answers is put on the simulated clock, and so is what
handing a task to Ray takes. A driver that is too slow therefore shows as idle workers. `busy` is
the share of their time that workers evaluate, without the first trials, which are made while the
cluster fills up; `driver` is the share of its time that the driver is at work.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import logging
import multiprocessing
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import optuna
from fake_studies import fake_study
from fake_targets import fake_network
from simulated_cluster import OverError, SimulatedCluster, Weather
from wide_target import WideTarget

from npu_tune._optuna_compat import SearchStudy
from npu_tune.targets import Problem
from npu_tune.tuning import run_study
from npu_tune.tuning.ledger import PatientLedger

os.environ["NPU_TUNE_CACHE"] = ""  # what is simulated here is not kept

SAMPLERS = ("random", "annealing", "layerwise")
"""Those that docs/samplers.md says to keep a thousand workers busy; `--samplers` takes others too."""
LIMIT = 0.95


def main() -> None:
    options = _options()
    rows = []
    if not options.json:
        heads = ("sampler", "busy", "driver", "ms/trial", "proposal", "ledger", "loop", "Ray")
        print(f"{options.workers} workers, {options.mean_s:g} s per evaluation in the mean")
        print(f"{heads[0]:>18}" + "".join(f"{head:>10}" for head in heads[1:]) + "  limit")
    context = multiprocessing.get_context("spawn")
    for sampler in options.samplers:
        with context.Pool(1, maxtasksperchild=1) as pool:
            row = pool.apply(_row, (sampler, options))
        rows.append(row)
        if not options.json:
            _print(row)
    if options.json:
        print(json.dumps(rows, indent=2))
    sys.exit(0 if all(row["busy"] >= LIMIT for row in rows) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--lost", type=int, default=2, help="nodes that are lost on the way")
    parser.add_argument("--trials", type=int, default=12_000)
    parser.add_argument("--first", type=int, default=2_000, help="trials before anything counts")
    parser.add_argument("--mean-s", type=float, default=5.0, help="of an evaluation")
    parser.add_argument("--knobs", type=int, default=60)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--hot", type=int, default=0, help="print so many functions by their time")
    return parser.parse_args()


class _Stopwatch:
    """The processor time that some methods take."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}

    def watch(self, stack: contextlib.ExitStack, owner: type, method: str, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, method)
        self.spent_s.setdefault(name, 0.0)

        def timed(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return inner(*args, **options)
            finally:
                self.spent_s[name] += time.process_time() - start

        stack.enter_context(mock.patch.object(owner, method, timed))


def _row(sampler: str, options: argparse.Namespace) -> dict[str, Any]:
    optuna.logging.set_verbosity(logging.ERROR)
    watch, clusters = _Stopwatch(), []
    at_first: dict[str, float] = {}
    # Nodes are lost at a third and at two thirds of what counts.
    whole_s = options.trials / options.workers * options.mean_s
    first_s = options.first / options.workers * options.mean_s
    parts = options.lost + 1
    lost_at_s = [first_s + (whole_s - first_s) * n / parts for n in range(1, parts)]

    def make_pool(_: Any, problem: Problem) -> SimulatedCluster:
        cluster = SimulatedCluster(
            problem,
            workers=options.workers,
            nodes=options.nodes,
            weather=Weather(mean_s=options.mean_s, lost_at_s=tuple(lost_at_s)),
            marks={
                options.first: lambda: at_first.update(watch.spent_s),
                options.trials: lambda: None,
            },
        )
        clusters.append(cluster)
        return cluster

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        study = fake_study(
            folder / "study",
            # The study is left in the middle of its search.
            int(1.25 * options.trials),
            study={"polish": None},
            sampler={"name": sampler},
            executor={"kind": "process", "workers": options.workers},
        )
        stack.enter_context(mock.patch("npu_tune.tuning.evaluators.make_pool", make_pool))
        watch.watch(stack, SearchStudy, "ask", "proposal")
        watch.watch(stack, SearchStudy, "tell", "proposal")
        watch.watch(stack, PatientLedger, "append", "ledger")
        stack.enter_context(contextlib.suppress(OverError))
        if options.hot:
            profiler = stack.enter_context(cProfile.Profile())
            stack.callback(
                lambda: pstats.Stats(profiler).sort_stats("tottime").print_stats(options.hot)
            )
        run_study(study, network=fake_network(), target=WideTarget(options.knobs))
    return _figures(sampler, options, clusters[0], watch.spent_s, at_first)


def _figures(
    sampler: str,
    options: argparse.Namespace,
    cluster: SimulatedCluster,
    spent_s: dict[str, float],
    at_first: dict[str, float],
) -> dict[str, Any]:
    trials = options.trials - options.first
    hours = cluster.seen[options.trials].since(cluster.seen[options.first])
    ms = {name: 1e3 * (spent_s[name] - at_first[name]) / trials for name in spent_s}
    total = 1e3 * hours.driver / trials
    ms["Ray"] = 1e3 * cluster.task_s
    ms["loop"] = total - sum(ms.values())
    span_s = hours.span
    return {
        "sampler": sampler,
        "busy": hours.at_work / hours.there,
        "driver": hours.driver / span_s,
        "ms_per_trial": total,
        "ms": ms,
        "lost": cluster.lost,
        "most_workers": 1e3 * options.mean_s / total,
    }


def _print(row: dict[str, Any]) -> None:
    ms = row["ms"]
    cells = [f"{row['busy']:.1%}", f"{row['driver']:.0%}", f"{row['ms_per_trial']:.2f}"]
    cells += [f"{ms[name]:.2f}" for name in ("proposal", "ledger", "loop", "Ray")]
    most = max(ms, key=ms.__getitem__)
    limit = f"{most}, at {row['most_workers']:,.0f} workers; {row['lost']} lost"
    print(
        f"{row['sampler']:>18}" + "".join(f"{cell:>10}" for cell in cells) + f"  {limit}",
        flush=True,
    )


if __name__ == "__main__":
    main()
