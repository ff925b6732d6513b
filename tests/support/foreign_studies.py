"""Studies that plain Optuna writes over the space of the fake target."""

from __future__ import annotations

from typing import Any

import optuna
from fake_targets import LayeredTarget, fake_network
from optuna.storages import BaseStorage

from npu_tune.space import suggest
from npu_tune.targets import Problem
from npu_tune.tuning.ledger.optuna_storage import open_optuna_storage

NAME = "foreign"


def fake_problem() -> Problem:
    return LayeredTarget().bind(fake_network())


def write_foreign(place: str, trials: int = 6, *, name: str = NAME, offset: float = 0.0) -> None:
    """As a person would, with a sampler of Optuna's and an objective that asks for every knob.

    Args:
        place: where a ledger may be.
        trials: how many.
        name: of the study.
        offset: by how much its numbers are off.
    """
    with fake_problem() as problem, open_optuna_storage(place) as storage:
        study = create(storage, name)

        def objective(trial: optuna.Trial) -> float:
            metrics = problem.evaluate(suggest(trial, problem.space)).metrics
            return metrics["cycles"] + offset

        study.optimize(objective, n_trials=trials)


def create(storage: BaseStorage | None, name: str = NAME, **options: Any) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=1)
    return optuna.create_study(study_name=name, storage=storage, sampler=sampler, **options)
