"""What it gains that one task is made ready while all workers are busy, by the duration of one.

    python tests/benchmarks/bench_ahead.py

The driver *sleeps* for each proposal, and an evaluation sleeps too, so that the figures are those of
a machine with a core for everybody. Both ways are timed in turn, several times, in the same pool of
warm workers; without a task ahead the driver proposes only when a worker is free. Given are
evaluations per second, the ratio of the medians, and the most that were under way.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from fake_targets import LayeredTarget, SlowTarget, fake_network

from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Pool, make_pool
from npu_tune.evaluation.pooled import PooledEvaluator
from npu_tune.testing import some_configurations
from npu_tune.tuning.run_sections import ExecutorSection

WARM = 40
"""Evaluations before the clock starts: the evaluator learns what they take."""


def main() -> None:
    options = _options()
    print(
        f"{options.workers} workers ({options.executor}), {options.proposal_ms:g} ms per proposal"
    )
    print(f"{'an evaluation':>14}{'without':>9}{'ahead':>8}{'times':>7}{'under way':>11}")
    section = ExecutorSection.model_validate(
        {"kind": options.executor, "workers": options.workers}
    )
    with make_pool(section) as pool:
        for duration_ms in options.evaluation_ms:
            _row(pool, duration_ms / 1e3, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--executor", choices=["process", "ray"], default="process")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--proposal-ms", type=float, default=2.0)
    parser.add_argument(
        "--evaluation-ms", type=float, nargs="+", default=[1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="of each timing, about")
    parser.add_argument("--times", type=int, default=3)
    return parser.parse_args()


def _row(pool: Pool[Any], duration_s: float, options: argparse.Namespace) -> None:
    problem = SlowTarget(LayeredTarget(), seconds=duration_s).bind(fake_network())
    per_s = 1 / (duration_s / options.workers + options.proposal_ms / 1e3)
    count = WARM + max(int(options.seconds * per_s), WARM)
    rates: dict[bool, list[float]] = {False: [], True: []}
    most = 0
    for is_ahead in [False, True] * options.times:
        # It is not closed, as the pool is the next one's too.
        evaluator = PooledEvaluator(pool, problem)
        configurations = itertools.cycle(some_configurations(problem.space, 50))
        requests = (
            Request(c, f"{n}") for n, c in enumerate(itertools.islice(configurations, count))
        )
        rate, under_way = _timed(evaluator, pool, requests, is_ahead, options)
        rates[is_ahead].append(rate)
        most = max(most, under_way)
    without, ahead = (statistics.median(rates[is_ahead]) for is_ahead in (False, True))
    print(
        f"{duration_s * 1e3:>11.0f} ms{without:>9.0f}{ahead:>8.0f}{ahead / without:>7.2f}{most:>11}",
        flush=True,
    )


def _timed(
    evaluator: PooledEvaluator,
    pool: Pool[Any],
    requests: Iterator[Request],
    is_ahead: bool,
    options: argparse.Namespace,
) -> tuple[float, int]:
    """Evaluations per second, and how many were under way at most."""
    begun = done = most = 0
    started = 0.0
    following = next(requests, None)
    while following is not None or done < begun:
        while following is not None and evaluator.free and (is_ahead or pool.free):
            time.sleep(options.proposal_ms / 1e3)
            evaluator.submit(begun, following)
            begun += 1
            following = next(requests, None)
        most = max(most, begun - done)
        if evaluator.wait(60.0) is not None:
            done += 1
            if done == WARM:
                started = time.perf_counter()
    return (done - WARM) / (time.perf_counter() - started), most


if __name__ == "__main__":
    main()
