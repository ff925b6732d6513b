"""What it gains that one task is made ready while all workers are busy, by the duration of one.

    python tests/benchmarks/bench_ahead.py

Whole studies of a made-up network of 94 knobs, with the real driver, sampler and journal. Evaluations
*sleep*, so that driver and workers have a core each on any machine. Both ways are run in turn,
several times. Given are the medians of evaluations per second, from the 30th one on, how many times
as fast it is with a task ahead, how many evaluations were under way at most, and the best cost of
both, in which the runs of one way differ too, as workers answer in another order every time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does
os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from fake_studies import run_fake
from fake_targets import SlowTarget
from wide_target import WideTarget

from npu_tune.evaluation import batches

KNOBS = 94
WARM = 30
"""Evaluations before the clock starts: workers start, and it is learnt what evaluations take."""


class Watch:
    """Notes what a study reports."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []
        self.most = 0

    def __call__(self, progress: Any) -> None:
        self.most = max(self.most, progress.running)
        if progress.evaluations >= WARM:
            self._seen.append((time.perf_counter(), progress.evaluations))

    @property
    def rate(self) -> float:
        """Evaluations per second."""
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began)


@dataclass(frozen=True)
class Ran:
    """What came of a study."""

    rate: float
    most: int
    cost: float


def main() -> None:
    options = _options()
    warnings.simplefilter("ignore")
    print(f"{options.sampler}, {options.evaluations} evaluations, {options.workers} workers")
    print(
        f"{'one':>8}{'without':>9}{'ahead':>7}{'times':>7}{'under way':>11}{'cost':>9}{'ahead':>9}"
    )
    for duration_ms in options.evaluation_ms:
        ran: dict[bool, list[Ran]] = {False: [], True: []}
        for is_ahead in [False, True] * options.times:
            ran[is_ahead].append(_study(duration_ms / 1e3, options, is_ahead=is_ahead))
        _print(duration_ms, ran[False], ran[True])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--evaluation-ms", type=float, nargs="+", default=[10.0, 20.0, 50.0])
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--executor", choices=["process", "ray"], default="process")
    parser.add_argument("--sampler", default="layerwise")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _study(duration_s: float, options: argparse.Namespace, *, is_ahead: bool) -> Ran:
    watch, share = Watch(), batches.SHARE_READY if is_ahead else 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(batches, "SHARE_READY", share),
    ):
        result = run_fake(
            Path(folder) / "study",
            options.evaluations,
            target=SlowTarget(WideTarget(KNOBS), seconds=duration_s),
            listener=watch,
            sampler={"name": options.sampler},
            executor={"kind": options.executor, "workers": options.workers},
            study={"polish": None, "seed": 1},
        )
    return Ran(watch.rate, watch.most, result.best.cost if result.best else float("nan"))


def _print(duration_ms: float, without: Sequence[Ran], ahead: Sequence[Ran]) -> None:
    rates = [median(each.rate for each in ran) for ran in (without, ahead)]
    costs = [median(each.cost for each in ran) for ran in (without, ahead)]
    print(
        f"{duration_ms:>5.0f} ms{rates[0]:>9.1f}{rates[1]:>7.1f}{rates[1] / rates[0]:>7.2f}"
        f"{max(each.most for each in ahead):>11}{costs[0]:>9.4f}{costs[1]:>9.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
