"""Networks measured once on a CPU, replayed: float32 or int8 with four ranges for each layer.

The tables in ``recorded_cpu.json`` were measured with the target cpu-onnxruntime. Per layer ``ms``
holds what it took, by the precision of its neighbours and by its own (float32, int8), and
``noise`` what it added to the noise by being alone in int8, by the method of its range.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import SearchStudy

NETWORKS = ("squeezenet", "mobilenet-v2-1.0-224")
PRECISIONS = ("float32", "int8")
OPTIMIZATION = "network/optimization"

_TABLES = json.loads((Path(__file__).parent / "recorded_cpu.json").read_text())
_CHAINED = 0.95
"""What int8 behind int8 adds to the noise, relative to what it adds alone."""


@dataclass(frozen=True)
class RecordedCpu:
    """A recorded network: its time relative to the default's, limited in its signal to noise.

    Args:
        name: of the network.
        floor_db: signal to noise that configurations must have.
        spread: relative standard deviation of a measured time.
        seed: of the measurements.
        roughness: how far the whole is from the sum of its layers, from 0: layers two apart of
            unlike precision cost time, heavy-tailed, and neighbours of unlike ranges make noise.
            No optimum is known then.
    """

    name: str
    floor_db: float
    spread: float = 0.01
    seed: int = 0
    roughness: float = 0.0

    @cached_property
    def layers(self) -> tuple[str, ...]:
        return tuple(_TABLES[self.name]["layers"])

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        levels = _TABLES[self.name]["levels"]
        knobs: dict[str, BaseDistribution] = {OPTIMIZATION: CategoricalDistribution([*levels])}
        for layer in self.layers:
            knobs[f"{layer}/precision"] = CategoricalDistribution(PRECISIONS)
            knobs[f"{layer}/range"] = CategoricalDistribution(_TABLES[self.name]["methods"])
        return knobs

    @cached_property
    def default(self) -> dict[str, Any]:
        return {name: d.choices[0] for name, d in self.distributions.items()} | {
            OPTIMIZATION: "all"
        }

    def effective(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        """Parameters without ranges that make no difference."""
        return (params[OPTIMIZATION], *self._actions(params))

    def rows(self, params: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The exact profile."""
        actions = self._actions(params)
        in_int8 = [int(action > 0) for action in actions]
        factor = self._level(params[OPTIMIZATION], sum(in_int8) / len(in_int8))
        found = {}
        for at, layer in enumerate(self.layers):
            near = [in_int8[i] for i in (at - 1, at + 1) if 0 <= i < len(in_int8)]
            ms = np.mean([self._ms[at, other, in_int8[at]] for other in near])
            noise = self._noise[at, actions[at]]
            size = 1e4 * (1 + zlib.crc32(layer.encode()) % 97) / (4 if in_int8[at] else 1)
            found[layer] = {"ms": factor * float(ms), "noise": float(noise), "bytes": size}
        return found

    def ratio(self, params: Mapping[str, Any]) -> float:
        """The exact time, relative to the default's."""
        in_int8 = np.array(self._actions(params)) > 0
        further = float(self._further[in_int8[2:] != in_int8[:-2]].sum())
        return _total(self.rows(params), "ms") / _total(self.rows(self.default), "ms") + further

    def snr_db(self, params: Mapping[str, Any]) -> float:
        actions = self._actions(params)
        noise = 0.0
        for at, action in enumerate(actions):
            chained = at > 0 and action > 0 and actions[at - 1] > 0
            unlike = chained and action != actions[at - 1]
            factor = (_CHAINED if chained else 1.0) + self.roughness * unlike
            noise += self._noise[at, action] * factor
        return -10 * math.log10(noise + 1e-13)

    def is_feasible(self, params: Mapping[str, Any]) -> bool:
        return self.snr_db(params) >= self.floor_db

    def measure(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a study is told of a configuration: values, constraints and a profile."""
        key = repr((self.name, self.seed, self.effective(params))).encode()
        random = np.random.default_rng(zlib.crc32(key))
        drift = math.exp(random.normal(0.0, 0.1))
        profile = self.rows(params)
        for row in profile.values():
            row["ms"] *= drift * math.exp(random.normal(0.0, 5 * self.spread))
        return {
            "values": [self.ratio(params) * math.exp(random.normal(0.0, self.spread))],
            "constraints": {"snr_db": (self.floor_db - self.snr_db(params)) / self.floor_db},
            "user_attrs": {"profile": profile},
        }

    def search(self, sampler: BaseSampler, evaluations: int) -> list[FrozenTrial]:
        """Runs a study in series as the runner would: what is known costs no evaluation."""
        study = SearchStudy(sampler, ["minimize"], self.distributions)
        study.enqueue(self.default)
        known: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
        repeated = 0
        while len(known) < evaluations and repeated < 200:
            trial = study.ask()
            key = self.effective(trial.params)
            if key in known:
                number, told = known[key]
                repeated += 1
                study.tell(trial, **{**told, "user_attrs": {"duplicate_of": number}})
                continue
            repeated = 0
            told = self.measure(trial.params)
            known[key] = trial.number, told
            study.tell(trial, **told)
        return study.study.get_trials(deepcopy=False)

    def regret(self, trials: list[FrozenTrial]) -> float:
        """How far the feasible trial that measured best is above the optimum, in exact times."""
        return self.cost(trials) / self.optimum - 1.0

    def cost(self, trials: list[FrozenTrial]) -> float:
        """Exact time of the feasible trial that measured best, relative to the default's."""
        feasible = [
            t
            for t in trials
            if t.state == TrialState.COMPLETE and all(c <= 0 for c in t.constraints.values())
        ]
        best = min(feasible, key=lambda t: t.values[0])
        return self.ratio(best.params)

    @cached_property
    def optimum(self) -> float:
        """Time of the fastest feasible configuration, relative to the default's.

        A knapsack along the chain: per layer and its choice the least time for every amount of
        noise, in thousandths of what is allowed, rounded up.
        """
        steps = 2000
        allowed = 10 ** (-self.floor_db / 10)
        cells = np.ceil(self._noise / allowed * steps).astype(int)
        chained = np.ceil(self._noise * _CHAINED / allowed * steps).astype(int)
        count = self._noise.shape[1]
        best = np.full((count, steps + 1), np.inf)
        for action in range(count):
            if cells[0, action] <= steps:
                best[action, cells[0, action] :] = 0.0
        for at in range(1, len(self.layers)):
            after = np.full_like(best, np.inf)
            for action in range(count):
                for before in range(count):
                    used = (chained if before and action else cells)[at, action]
                    if used <= steps:
                        cost = best[before, : steps + 1 - used] + self._pair(at, before, action)
                        after[action, used:] = np.minimum(after[action, used:], cost)
            best = after
        return float(best.min()) / _total(self.rows(self.default), "ms")

    def _pair(self, at: int, before: int, action: int) -> float:
        """What two neighbours take by being neighbours, the halves of those at the ends whole."""
        b, a = int(before > 0), int(action > 0)
        first = 1.0 if at == 1 else 0.5
        last = 1.0 if at == len(self.layers) - 1 else 0.5
        return float(first * self._ms[at - 1, a, b] + last * self._ms[at, b, a])

    @cached_property
    def _further(self) -> np.ndarray:
        """What layers two apart take by being of unlike precision, relative to the default."""
        random = np.random.default_rng(0)
        count = len(self.layers) - 2
        return self.roughness * random.lognormal(-0.5, 1.0, count) / len(self.layers)

    def _actions(self, params: Mapping[str, Any]) -> list[int]:
        """Per layer 0 for float32, else which range, from 1."""
        methods = _TABLES[self.name]["methods"]
        return [
            0
            if params[f"{layer}/precision"] == "float32"
            else 1 + methods.index(params[f"{layer}/range"])
            for layer in self.layers
        ]

    def _level(self, level: str, share: float) -> float:
        """How much slower another optimization level is, by the share of layers in int8."""
        levels = _TABLES[self.name]["levels"]
        slower = [levels[level][i] / levels["all"][i] for i in (0, 1)]
        return slower[0] ** (1 - share) * slower[1] ** share if level != "all" else 1.0

    @cached_property
    def _ms(self) -> np.ndarray:
        """Of shape (layers, precision of the neighbours, own precision)."""
        return np.array([row["ms"] for row in _TABLES[self.name]["layers"].values()])

    @cached_property
    def _noise(self) -> np.ndarray:
        """Of shape (layers, actions)."""
        rows = [[0.0, *row["noise"]] for row in _TABLES[self.name]["layers"].values()]
        return np.array(rows)


def _total(rows: Mapping[str, Mapping[str, float]], column: str) -> float:
    return sum(row[column] for row in rows.values())
