"""Finished trials for tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from npu_tune.tuning.ledger import open_ledger

DISTRIBUTIONS = {
    "network/strategy": CategoricalDistribution(("size", "speed")),
    "conv/block": IntDistribution(0, 9),
    "conv/flag": CategoricalDistribution((False, True)),
}
START = datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001 - Optuna's are naive local times


def finished_trial(index: int = 0, *, failed: bool = False, objectives: int = 2) -> FrozenTrial:
    """A trial with everything a trial may have, different for each index."""
    trial = optuna.trial.create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        values=None if failed else [index + 0.25 * k for k in range(objectives)],
        params={
            "network/strategy": ("size", "speed")[index % 2],
            "conv/block": index % 10,
            "conv/flag": bool(index // 2 % 2),
        },
        distributions=DISTRIBUTIONS,
        user_attrs={"profile": {"conv": [index, 1.5]}, "origin": "sampler é"},
        system_attrs={"fixed_params": {"conv/block": 1}},
        constraints=None if failed else {"sram_bytes": index - 3.0, "cycles": -1.0},
    )
    trial.datetime_start = START + timedelta(seconds=index)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=0.5)
    return trial


def content(trial: FrozenTrial) -> dict[str, object]:
    """All of a trial but where it is kept."""
    return {
        "state": trial.state,
        "values": trial.values,
        "params": trial.params,
        "distributions": trial.distributions,
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "start": trial.datetime_start,
        "complete": trial.datetime_complete,
    }


def write_one(place: str, name: str) -> int:
    """Writes a trial into a ledger with two objectives; here, so that a new process finds it."""
    with open_ledger(place, name=name, directions=("minimize", "maximize")) as ledger:
        return ledger.append(finished_trial(0))
