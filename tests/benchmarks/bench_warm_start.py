"""How many evaluations a warm start needs for what a cold search finds with 200.

    python tests/benchmarks/bench_warm_start.py

Each case searches cold, then again beginning with a study that is about something else: another
network, another objective, a limit, or other hardware. Printed are the cost that the cold search
has after `--within` evaluations and at its end, the evaluation at which it found the latter, and that
at which the warm one did; `-` where it did not within `--within`. What must hold is the median over
all cases. No case's own network, objective or hardware is among what it begins with. Where the cold search
needs fewer than `--within` itself, the target's own plans have done the work: the second median is over
the other cases.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from npu_tune.tuning import StudyResult, parse_study, run_study

os.environ["NPU_TUNE_CACHE"] = ""  # every evaluation is made, and none kept

N6, U55, U55_256 = "neural-art-stm32n6", "ethos-u55-128", "ethos-u55-256"
FAST, SMALL = {"latency_ms": 0.9, "ram_bytes": 0.1}, {"full_cycles": 0.2, "sram_bytes": 0.8}


@dataclass(frozen=True)
class Search:
    """What is searched: a network on a target, and for what."""

    network: str
    target: str
    weights: dict[str, float] = field(default_factory=dict)
    limit: str = ""

    @property
    def title(self) -> str:
        weights = ",".join(f"{name}={weight:g}" for name, weight in self.weights.items())
        return " ".join(filter(None, [self.network, self.target, weights, self.limit]))


def between(*pairs: tuple[str, str], target: str) -> list[tuple[Search, Search]]:
    return [(Search(into, target), Search(out_of, target)) for into, out_of in pairs]


CASES = {
    # Pairs of networks on which nothing was chosen.
    "networks": [
        *between(
            ("mobilenet-v2-0.35-96", "mobilenet-v1-0.25-96"),
            ("st-fd-mobilenet-96", "mobilenet-v2-0.35-96"),
            ("resnet32", "ds-cnn"),
            ("mobilenet-v1-0.25-128", "st-fd-mobilenet-96"),
            ("mnasnet-a1", "mobilenet-v2-0.35-96"),
            target=N6,
        ),
        *between(
            ("autoencoder", "ds-cnn"),
            ("resnet8", "st-mnist"),
            ("st-mnist", "resnet8"),
            ("mobilenet-v2-0.35-96", "ds-cnn"),
            target=U55,
        ),
    ],
    # Those on which the way of transferring was chosen.
    "chosen": [
        *between(
            ("st-mnist", "ds-cnn"),
            ("mobilenet-v1-0.25-96", "fd-mobilenet-0.25-96"),
            ("squeezenet-96", "mobilenet-v2-0.35-96"),
            ("fd-mobilenet-0.25-96", "mobilenet-v1-0.25-96"),
            target=N6,
        ),
        *between(
            ("st-mnist", "ds-cnn"),
            ("ds-cnn", "st-mnist"),
            ("resnet8", "ds-cnn"),
            ("mobilenet-v1-0.25-96", "fd-mobilenet-0.25-96"),
            target=U55,
        ),
    ],
    "objectives": [
        (Search("st-mnist", N6, FAST), Search("st-mnist", N6)),
        (Search("resnet8", N6, FAST), Search("resnet8", N6)),
        (Search("ds-cnn", U55, SMALL), Search("ds-cnn", U55)),
        (Search("resnet8", U55, SMALL), Search("resnet8", U55)),
    ],
    "limits": [
        (Search("resnet8", N6, limit="ram_bytes<=40 KiB"), Search("resnet8", N6)),
        (Search("ds-cnn", U55, limit="sram_bytes<=16 KiB"), Search("ds-cnn", U55)),
        (Search("resnet8", U55, limit="sram_bytes<=40 KiB"), Search("resnet8", U55)),
    ],
    "hardware": [
        (Search("ds-cnn", U55_256), Search("ds-cnn", U55)),
        (Search("resnet8", U55_256), Search("resnet8", U55)),
        (Search("st-mnist", U55_256), Search("st-mnist", U55)),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sorts", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--within", type=int, default=60)
    parser.add_argument("--only", default="", help="cases whose target begins so")
    parser.add_argument(
        "--folder", type=Path, help="keeps the studies; begun ones are gone on with"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(given.folder or Path(temporary), given.evaluations, given.within)
        needed = []
        for sort in given.sorts:
            cases = [case for case in CASES[sort] if case[0].target.startswith(given.only)]
            seeds = range(given.first_seed, given.first_seed + given.seeds)
            rows = [bench.row(*case, seed) for case in cases for seed in seeds]
            needed += rows
            report(sort, rows, given.within)
        ok = report("all", needed, given.within)
    sys.exit(0 if ok else 1)


def report(sort: str, rows: list[tuple[float, float]], within: int) -> bool:
    if not rows:
        return True
    warm = statistics.median(row[1] for row in rows)
    hard = [row[1] for row in rows if row[0] > within]
    harder = f"{statistics.median(hard):g}" if hard else "none"
    reached = sum(row[1] <= within for row in rows)
    print(
        f"{sort}: median of the cold search {statistics.median(row[0] for row in rows):g}, warm "
        f"{warm:g}; reached in {reached} of {len(rows)}; where the cold one needs more than "
        f"{within}: {harder} ({len(hard)} cases)\n",
        flush=True,
    )
    return warm <= within


class Bench:
    """Runs searches, each once."""

    def __init__(self, folder: Path, evaluations: int, within: int) -> None:
        self._folder = folder
        self._evaluations = evaluations
        self._within = within
        self._cold: dict[tuple[str, int], StudyResult] = {}
        print(
            f"{'search':58s} {'from':40s} {'cost@' + str(within):>9s} {'cost':>7s} "
            f"{'cold':>5s} {'warm':>5s} {'cost':>7s}",
            flush=True,
        )

    def row(self, into: Search, out_of: Search, seed: int) -> tuple[float, float]:
        """At which evaluation the cold and the warm search had the cold one's result."""
        cold = costs(self.cold(into, seed))
        # The study that it begins with is one that anybody might have: of another seed.
        self.cold(out_of, seed + 100)
        source = self._place(out_of, seed + 100)
        name = f"{into.title} from {out_of.title}"
        result = self._run(into, seed, name, self._within, sources=[source])
        warm = costs(result)[: self._within]
        first, then = (reached(each, cold[-1]) for each in (cold, warm))
        print(
            f"{into.title:58s} {out_of.title:40s} {cold[self._within - 1]:9.4f} {cold[-1]:7.4f} "
            f"{first:5g} {then if math.isfinite(then) else '-':>5} {warm[-1]:7.4f}",
            flush=True,
        )
        return first, then

    def cold(self, search: Search, seed: int) -> StudyResult:
        if (search.title, seed) not in self._cold:
            self._cold[search.title, seed] = self._run(
                search, seed, search.title, self._evaluations
            )
        return self._cold[search.title, seed]

    def _place(self, search: Search, seed: int, name: str = "") -> Path:
        return self._folder / f"{name or search.title} seed {seed}".replace("/", "-")

    def _run(
        self, search: Search, seed: int, name: str, evaluations: int, sources: list[Path] = ()
    ) -> StudyResult:
        document: dict[str, Any] = {
            "model": {"path": search.network},
            "target": {"name": search.target},
            "study": {
                "folder": str(self._place(search, seed, name)),
                "seed": seed,
                "evaluations": evaluations,
                "cache": False,
                "from": [str(each) for each in sources],
            },
            "executor": {"kind": "inline"},
            "limits": [search.limit] if search.limit else [],
        }
        if search.weights:
            metrics, weights = list(search.weights), list(search.weights.values())
            document["objective"] = {"metrics": metrics, "weights": weights}
        return run_study(parse_study(document, base=self._folder))


def costs(result: StudyResult) -> list[float]:
    """The lowest cost so far after each evaluation."""
    best, found = math.inf, []
    for trial in result.trials:
        if trial.duplicate_of is None:
            if trial.feasible and trial.cost is not None:
                best = min(best, trial.cost)
            found.append(best)
    return found


def reached(found: list[float], cost: float) -> float:
    """The first evaluation with that cost; infinity where there is none."""
    return next((n for n, each in enumerate(found, 1) if each <= cost * (1 + 1e-9)), math.inf)


if __name__ == "__main__":
    main()
