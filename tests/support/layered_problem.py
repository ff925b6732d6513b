"""A made-up network to tune: layer costs, coupled neighbours and a peak over the layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy

_STRIPES = 6


@dataclass(frozen=True)
class LayeredProblem:
    """Two costs, both 1 for the default: a sum over layers, and a maximum over layers.

    Args:
        layers: how many.
        seed: makes another network.
    """

    layers: int = 12
    seed: int = 0

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        knobs: dict[str, BaseDistribution] = {
            "block": IntDistribution(0, 39),
            "order": CategoricalDistribution(("depth", "width")),
            "cascade": IntDistribution(0, _STRIPES),
        }
        return {f"layer{n}/{k}": d for n in range(self.layers) for k, d in knobs.items()}

    @cached_property
    def default(self) -> dict[str, Any]:
        values = {"block": 20, "order": "depth", "cascade": 0}
        return {name: values[name.rpartition("/")[2]] for name in self.distributions}

    def costs(self, params: dict[str, Any]) -> list[float]:
        """Time and memory relative to the default's."""
        raw, base = self._raw(params), self._raw(self.default)
        return [raw[0] / base[0], raw[1] / base[1]]

    def search(
        self,
        sampler: BaseSampler,
        budget: int,
        *,
        objectives: int = 1,
        trials: tuple[FrozenTrial, ...] = (),
        profiles: bool = False,
    ) -> list[FrozenTrial]:
        """Runs a study in series up to ``budget`` trials, the default first."""
        study = SearchStudy(sampler, ["minimize"] * objectives, self.distributions)
        study.add(trials)
        if not trials:
            study.enqueue(self.default)
        while len(study.study.trials) < budget:
            trial = study.ask()
            costs = self.costs(trial.params)
            attributes = {"profile": self.profile(trial.params)} if profiles else {}
            values = costs if objectives == 2 else [sum(costs) / 2]
            study.tell(trial, values, user_attrs=attributes)
        return study.study.get_trials(deepcopy=False)

    def best(self, sampler: BaseSampler, budget: int) -> float:
        trials = self.search(sampler, budget)
        return min(trial.values[0] for trial in trials)

    @cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        random = np.random.default_rng(self.seed)
        centre = random.random((self.layers, 1))
        grid = np.linspace(0, 1, 40)
        return {
            "weight": random.lognormal(0, 1, self.layers),
            "block": 0.8 * (grid - centre) ** 2 + 0.05 * random.random((self.layers, 40)),
            "width": random.uniform(-0.1, 0.1, self.layers),
            "feature_map": np.sort(random.lognormal(0, 0.7, self.layers + 1))[::-1],
        }

    def profile(self, params: dict[str, Any]) -> dict[str, dict[str, float]]:
        """Per layer its part of the sum, and what it holds."""
        rows = self._rows(params)
        return {
            f"layer{n}": {"cycles": 1e4 * cycles, "live_bytes": 1e4 * held}
            for n, (cycles, held) in enumerate(rows)
        }

    def _raw(self, params: dict[str, Any]) -> tuple[float, float]:
        rows = self._rows(params)
        return sum(cycles for cycles, _ in rows), max(held for _, held in rows)

    def _rows(self, params: dict[str, Any]) -> list[tuple[float, float]]:
        table, before = self._tables, 0
        rows = []
        for n in range(self.layers):
            cascade = params[f"layer{n}/cascade"] if n < self.layers - 1 else 0
            cost = 1 + table["block"][n, params[f"layer{n}/block"]]
            cost += table["width"][n] * (params[f"layer{n}/order"] == "width")
            if before:
                cost += 0.1 * (1 - before / (_STRIPES + 1)) + 0.03 * abs(cascade - before)
            held = [c / (_STRIPES + 1) if c else 1.0 for c in (before, cascade)]
            maps = table["feature_map"]
            rows.append((table["weight"][n] * cost, maps[n] * held[0] + maps[n + 1] * held[1]))
            before = cascade
        return rows


def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
