"""What a proposal costs, sampler by sampler, as trials pile up.

    python tests/benchmarks/bench_proposals.py --trials 1000 10000

A made-up network of 100 layers with 300 parameters and profiles. A study is filled with random
trials, and then a few more are asked for and told one by one: the first is left out, for it reads
the whole study. The figures are means in milliseconds per trial, asking and telling together;
`reading` is that first one. The last column says how long an evaluation must take for 64 workers
not to wait for proposals.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from layered_problem import LayeredProblem

from npu_tune._optuna_compat import SearchStudy
from npu_tune.tuning.samplers import SamplerContext, make_sampler

PROBLEM = LayeredProblem(layers=100)
LIMITS_MS = {
    "layerwise": 10.0,
    "profile": 50.0,
    "annealing": 10.0,
    "qlearning": 50.0,
    "qlearning-offline": 500.0,
}
WORKERS = 64


def main() -> None:
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{'sampler':>12}{'trials':>8}{'reading':>10}{'ms':>8}{'limit':>8}{'64 workers':>12}")
    for count in options.trials:
        trials = _trials(count)
        for name in options.samplers:
            first, cost = _cost(name, trials, options.asked)
            limit = f"{LIMITS_MS[name]:.0f}" if name in LIMITS_MS and count <= 1000 else "-"
            print(
                f"{name:>12}{count:>8}{first:>10.0f}{cost:>8.1f}{limit:>8}"
                f"{WORKERS * cost / 1e3:>10.2f} s",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--samplers", nargs="+", default=list(LIMITS_MS))
    parser.add_argument("--asked", type=int, default=100, help="proposals that are timed")
    return parser.parse_args()


def _trials(count: int) -> list[FrozenTrial]:
    """The default and its random neighbours, near and far."""
    random = np.random.default_rng(0)
    names = list(PROBLEM.distributions)
    trials = []
    for number in range(count):
        params = dict(PROBLEM.default)
        changed = random.choice(len(names), size=min(number, 1 + number % 60), replace=False)
        for name in (names[index] for index in changed):
            distribution = PROBLEM.distributions[name]
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                params[name] = distribution.choices[int(random.integers(2))]
            else:
                params[name] = int(random.integers(distribution.high + 1))
        trials.append(
            create_trial(
                state=TrialState.COMPLETE,
                value=sum(PROBLEM.costs(params)) / 2,
                params=params,
                distributions=PROBLEM.distributions,
                user_attrs={"profile": PROBLEM.profile(params)},
            )
        )
    return trials


def _cost(name: str, trials: list[FrozenTrial], asked: int) -> tuple[float, float]:
    """Milliseconds of the first proposal, and of those after it."""
    context = SamplerContext(seed=0, baseline=PROBLEM.default, evaluations=len(trials))
    sampler = make_sampler(name, context=context)
    study = SearchStudy(sampler, ["minimize"], PROBLEM.distributions)
    study.add(trials)
    taken = []
    for _ in range(asked + 1):
        start = time.perf_counter()
        trial = study.ask()
        spent = time.perf_counter() - start
        values, profile = [sum(PROBLEM.costs(trial.params)) / 2], PROBLEM.profile(trial.params)
        start = time.perf_counter()
        study.tell(trial, values, user_attrs={"profile": profile})
        taken.append(1e3 * (spent + time.perf_counter() - start))
    return taken[0], statistics.mean(taken[1:])


if __name__ == "__main__":
    main()
