"""How fast an electric van should drive on each segment of a hilly road, and how it should brake.

The layers are the segments of the road: each has a speed and a way to brake, ``segment07/speed``
and ``segment07/braking``. Neighbours interact, as it takes energy to change the speed between
them. The samplers see nothing but the cost of the whole drive. As the drive is simulated by simple
formulas, the least cost is known too, by dynamic programming over the segments.

    python example.py --trials 200 --seeds 10
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import optunahub

SEGMENTS = 24
SPEEDS = tuple(range(30, 135, 5))  # km/h
BRAKING = ("coast", "recuperate", "friction")

_MASS = 2800.0  # kg
_WEIGHT = _MASS * 9.81  # N
_DRAG = 0.5 * 1.2 * 0.33 * 4.2  # half the air's density x drag coefficient x area, kg/m
_ENERGY_PRICE = 0.45 / 3.6e6  # euros per joule
_TIME_PRICE = 32.0 / 3600  # euros per second
_WEAR_PRICE = 4e-8  # euros per joule that the brakes take

_ROAD = np.random.default_rng(7)
_LENGTHS = _ROAD.uniform(400.0, 2500.0, SEGMENTS).tolist()  # m
_SLOPES = _ROAD.normal(0.0, 0.035, SEGMENTS).tolist()
_BENDS = _ROAD.uniform(60.0, 140.0, SEGMENTS).tolist()  # km/h above which tyres suffer


def segment_cost(segment: int, before: int, speed: int, braking: str) -> float:
    """What one segment costs, in euros.

    Args:
        segment: its number.
        before: the speed on the segment before it, in km/h.
        speed: the speed on it, in km/h.
        braking: what becomes of the energy that is left downhill or when slowing down.
    """
    length, metres_per_second = _LENGTHS[segment], speed / 3.6
    force = 0.011 * _WEIGHT + _DRAG * metres_per_second**2 + _WEIGHT * _SLOPES[segment]
    energy = force * length + 0.5 * _MASS * (metres_per_second**2 - (before / 3.6) ** 2)
    wear = 0.0
    if energy >= 0.0:
        # A motor that stands by to recuperate loses some more while it drives.
        energy /= 0.87 if braking == "recuperate" else 0.9
    else:
        wear = -energy * {"coast": 1.6, "recuperate": 0.1, "friction": 1.0}[braking]
        energy *= 0.62 if braking == "recuperate" else 0.0
    strain = 2e-4 * length * max(0.0, speed / _BENDS[segment] - 1.0) ** 2
    time = length / metres_per_second
    return float(energy * _ENERGY_PRICE + time * _TIME_PRICE + wear * _WEAR_PRICE + strain)


def objective(trial: optuna.Trial, segments: int = SEGMENTS) -> float:
    """The cost of a drive over so many of the segments."""
    cost, before = 0.0, None
    for segment in range(segments):
        # Of an ordered choice the index is suggested, so that a sampler knows what is near.
        index = trial.suggest_int(f"segment{segment:02}/speed", 0, len(SPEEDS) - 1)
        braking = trial.suggest_categorical(f"segment{segment:02}/braking", BRAKING)
        speed = SPEEDS[index]
        cost += segment_cost(segment, speed if before is None else before, speed, braking)
        before = speed
    return cost


def least_cost(segments: int = SEGMENTS) -> float:
    """The cost of the best drive of all, by dynamic programming."""

    def best(segment: int, before: int, speed: int) -> float:
        return min(segment_cost(segment, before, speed, braking) for braking in BRAKING)

    costs = {speed: best(0, speed, speed) for speed in SPEEDS}
    for segment in range(1, segments):
        costs = {
            speed: min(cost + best(segment, before, speed) for before, cost in costs.items())
            for speed in SPEEDS
        }
    return min(costs.values())


def load_sampler() -> Callable[..., optuna.samplers.BaseSampler]:
    """The sampler of the package that this file belongs to."""
    root = Path(__file__).resolve().parents[2]
    module = optunahub.load_local_module("samplers/layerwise", registry_root=str(root))
    sampler: Callable[..., optuna.samplers.BaseSampler] = module.LayerwiseSampler
    return sampler


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares samplers on the speeds of a drive.")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--segments", type=int, choices=range(1, SEGMENTS + 1), default=SEGMENTS)
    arguments = parser.parse_args()
    trials, segments = arguments.trials, arguments.segments
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    samplers: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "LayerwiseSampler": load_sampler(),
        "TPESampler": optuna.samplers.TPESampler,
        "RandomSampler": optuna.samplers.RandomSampler,
    }
    print(f"Least cost on {segments} segments: {least_cost(segments):.2f} euros.")
    print(f"Found in {trials} trials, median, best and worst of {arguments.seeds} seeds:")
    for name, sampler in samplers.items():
        found = []
        for seed in range(arguments.seeds):
            study = optuna.create_study(sampler=sampler(seed=seed))
            study.optimize(partial(objective, segments=segments), n_trials=trials)
            found.append(study.best_value)
        print(f"{name:16} {statistics.median(found):6.2f} {min(found):6.2f} {max(found):6.2f}")


if __name__ == "__main__":
    main()
