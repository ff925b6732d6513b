"""Ranges of any width: memory and time are for what was seen, not for what could be."""

from __future__ import annotations

import tracemalloc

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from our_samplers import SAMPLERS

MOST_BYTES = 100 * 2**20

wide = st.one_of(
    st.tuples(st.integers(0, 5), st.integers(1005, 10**9), st.sampled_from([1, 1, 3, 1000])),
    st.tuples(st.just(1), st.integers(2, 10**9), st.just(None)),
)
"""Lowest and highest value, and the step; None for a logarithmic range."""


def _suggest(trial, name, low, high, step):
    if step is None:
        return trial.suggest_int(name, low, high, log=True) / high
    return trial.suggest_int(name, low, high - (high - low) % step, step=step) / high


def _peak_of_a_study(sampler, objective, *, objectives, trials):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    tracemalloc.start()
    try:
        study.optimize(objective, n_trials=trials)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _objective(ranges, *, objectives, profiled):
    def objective(trial):
        rows = {}
        for number, each in enumerate(ranges):
            layer = f"l{number % 3}"
            cost = _suggest(trial, f"{layer}/k{number // 3}", *each)
            rows.setdefault(layer, {"cycles": 0.0})["cycles"] += cost
        rest = trial.suggest_float("l0/share", 0.0, 1.0) + trial.suggest_int("network/n", 0, 10**9)
        if profiled:
            trial.set_user_attr("profile", rows)
        total = sum(row["cycles"] for row in rows.values())
        return (total + rest, *[-total] * (objectives - 1))

    return objective


@pytest.mark.parametrize("name", SAMPLERS)
@settings(deadline=None, max_examples=6)
@given(
    ranges=st.lists(wide, min_size=1, max_size=6),
    objectives=st.integers(1, 2),
    profiled=st.booleans(),
)
def test_every_sampler_gets_along_with_any_range(name, ranges, objectives, profiled):
    objective = _objective(ranges, objectives=objectives, profiled=profiled)
    peak = _peak_of_a_study(SAMPLERS[name](seed=0), objective, objectives=objectives, trials=10)
    assert peak < MOST_BYTES


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("name", SAMPLERS)
def test_ranges_to_a_billion_take_no_memory(name, objectives):
    ranges = [(0, 10**9, 1), (1, 10**9, None), (0, 10**6, 1000), (5, 30000, 1)] * 2
    objective = _objective(ranges, objectives=objectives, profiled=True)
    peak = _peak_of_a_study(SAMPLERS[name](seed=1), objective, objectives=objectives, trials=20)
    assert peak < MOST_BYTES


def test_many_long_parameters_of_unlike_lengths_are_modelled_in_parts():
    ranges = [(0, 100 + n, 1) for n in range(6)]
    objective = _objective(ranges, objectives=1, profiled=True)
    sampler = SAMPLERS["profile"](seed=1, first_trials=0)
    assert _peak_of_a_study(sampler, objective, objectives=1, trials=15) < MOST_BYTES


def test_q_learning_finds_the_best_of_a_wide_range_again():
    best = 123_456_789

    def objective(trial):
        value = trial.suggest_int("l0/k", 0, 10**9)
        trial.suggest_int("l1/k", 0, 10**9)
        return abs(value - best) / 1e9

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = SAMPLERS["qlearning"](seed=0, exploration=0.5, evaluations=60)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"l0/k": 10**9, "l1/k": 0})
    study.enqueue_trial({"l0/k": best, "l1/k": 5})
    study.optimize(objective, n_trials=80)
    assert sum(trial.params["l0/k"] == best for trial in study.trials) > 10
