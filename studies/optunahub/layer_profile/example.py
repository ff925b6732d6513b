"""How each stage of a data pipeline should be run: size of its batches, threads and layout.

The layers are the stages, each with ``stage07/batch``, ``stage07/threads`` and ``stage07/layout``.
Neighbours interact: data is converted where two layouts differ. A run costs the seconds of all stages
and half a second per megabyte that the largest stage holds, as that decides on the machine. A run
that is measured tells both for every stage, and the sampler learns from that. As the run is
simulated by simple formulas, the least cost is known too.

    python example.py --trials 100 --seeds 10
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import optunahub

STAGES = 20
BATCHES = tuple(2**n for n in range(12))  # records
THREADS = 8
LAYOUTS = ("rows", "columns", "blocks")
SECONDS_PER_MEGABYTE = 0.5

_RECORDS = 2_000_000
_CACHE = 2048.0  # kilobytes

_STAGE = np.random.default_rng(11)
_WORK = _STAGE.lognormal(1.0, 0.8, STAGES).tolist()  # microseconds per record
_CALL = _STAGE.lognormal(3.5, 1.0, STAGES).tolist()  # microseconds per batch
_SERIAL = _STAGE.uniform(0.02, 0.5, STAGES).tolist()  # share of the work that one thread does
_RECORD = _STAGE.lognormal(1.0, 1.0, STAGES).tolist()  # kilobytes
_SUITED = _STAGE.choice(LAYOUTS, STAGES).tolist()  # the layout in which there is less to do
_SAVED = _STAGE.uniform(0.1, 0.4, STAGES).tolist()


def run_stage(
    stage: int, before: str, layout: str, batch: int, threads: int
) -> tuple[float, float]:
    """Seconds that a stage takes, and megabytes that it holds.

    Args:
        stage: its number.
        before: the layout in which the stage before it hands its records over.
        layout: its own.
        batch: records that it takes at a time.
        threads: that share its work.
    """
    work = _WORK[stage] * (1 - _SAVED[stage] if layout == _SUITED[stage] else 1.0)
    work *= _SERIAL[stage] + (1 - _SERIAL[stage]) / threads + 0.02 * (threads - 1)
    held = batch * _RECORD[stage]
    if held > _CACHE:
        work *= 1 + 0.12 * math.log2(held / _CACHE)
    if layout != before:
        work += 0.02 * _RECORD[stage] + 0.4
        held *= 1.5
    seconds = _RECORDS * (work + _CALL[stage] / batch) * 1e-6
    return seconds, held * (threads + 1) / 1024


def objective(trial: optuna.Trial) -> float:
    """The cost of a run; says what every stage had to do with it."""
    profile, before = {}, LAYOUTS[0]
    for stage in range(STAGES):
        name = f"stage{stage:02}"
        # Of an ordered choice the index is suggested, so that a sampler knows what is near.
        batch = BATCHES[trial.suggest_int(f"{name}/batch", 0, len(BATCHES) - 1)]
        threads = trial.suggest_int(f"{name}/threads", 1, THREADS)
        layout = trial.suggest_categorical(f"{name}/layout", LAYOUTS)
        seconds, megabytes = run_stage(stage, before, layout, batch, threads)
        profile[name] = {"seconds": seconds, "megabytes": megabytes}
        before = layout
    trial.set_user_attr("profile", profile)
    largest = max(row["megabytes"] for row in profile.values())
    return sum(row["seconds"] for row in profile.values()) + SECONDS_PER_MEGABYTE * largest


def least_cost() -> float:
    """The cost of the best run of all: per limit on the largest stage, by dynamic programming."""
    steps = {
        step: _fastest_within(
            [
                run_stage(*step, batch, threads)
                for batch, threads in product(BATCHES, range(1, THREADS + 1))
            ]
        )
        for step in product(range(STAGES), LAYOUTS, LAYOUTS)
    }
    least = math.inf
    for limit in sorted({megabytes for step in steps.values() for megabytes, _ in step}):
        costs = {LAYOUTS[0]: 0.0}
        for stage in range(STAGES):
            costs = {
                layout: min(
                    cost + _seconds_within(steps[stage, before, layout], limit)
                    for before, cost in costs.items()
                )
                for layout in LAYOUTS
            }
        least = min(least, SECONDS_PER_MEGABYTE * limit + min(costs.values()))
    return least


def _fastest_within(runs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Limits in megabytes from which on a stage is faster, with the seconds that it takes then."""
    fastest: list[tuple[float, float]] = []
    for megabytes, seconds in sorted((held, seconds) for seconds, held in runs):
        if not fastest or seconds < fastest[-1][1]:
            fastest.append((megabytes, seconds))
    return fastest


def _seconds_within(fastest: list[tuple[float, float]], limit: float) -> float:
    """The least seconds of a stage that may hold so many megabytes."""
    place = bisect_right(fastest, (limit, math.inf))
    return fastest[place - 1][1] if place else math.inf


def load_sampler() -> Callable[..., optuna.samplers.BaseSampler]:
    """The sampler of the package that this file belongs to, told of the profile's columns."""
    root = Path(__file__).resolve().parents[2]
    module = optunahub.load_local_module("samplers/layer_profile", registry_root=str(root))
    return partial(module.LayerProfileSampler, cost_column="seconds", group_column=None)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares samplers on a data pipeline.")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    trials = arguments.trials
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    samplers: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "LayerProfileSampler": load_sampler(),
        "TPESampler": optuna.samplers.TPESampler,
        "RandomSampler": optuna.samplers.RandomSampler,
    }
    print(f"Least cost: {least_cost():.1f} seconds.")
    print(f"Found in {trials} trials, median, best and worst of {arguments.seeds} seeds:")
    for name, sampler in samplers.items():
        found = []
        for seed in range(arguments.seeds):
            study = optuna.create_study(sampler=sampler(seed=seed))
            study.optimize(objective, n_trials=trials)
            found.append(study.best_value)
        print(f"{name:19} {statistics.median(found):6.1f} {min(found):6.1f} {max(found):6.1f}")


if __name__ == "__main__":
    main()
