"""How busy many workers are, and how often something is begun twice, sampler by sampler.

    python tests/benchmarks/bench_busy.py

Evaluations of random durations, simulated event by event on a made-up network of 12 layers; what a
proposal takes is bench_proposals.py's concern.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from layered_problem import LayeredProblem, quiet
from our_samplers import SAMPLERS
from simulated_workers import work

from npu_tune._optuna_compat import SearchStudy

PROBLEM = LayeredProblem(layers=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=320)
    options = parser.parse_args()
    quiet()
    print(f"{'sampler':>12}{'busy':>8}{'asked':>8}{'begun twice':>13}")
    for name, make in SAMPLERS.items():
        sampler = make(seed=0, baseline=PROBLEM.default)
        study = SearchStudy(sampler, ["minimize"], PROBLEM.distributions)
        shift = work(study, _evaluate, workers=options.workers, trials=options.trials, seed=1)
        print(f"{name:>12}{shift.busy:>8.1%}{'95%':>8}{shift.repeated:>13}", flush=True)


def _evaluate(params: dict[str, Any]) -> tuple[list[float], dict[str, Any]]:
    return [sum(PROBLEM.costs(params)) / 2], {"profile": PROBLEM.profile(params)}


if __name__ == "__main__":
    main()
