"""The Q-table: what the trials of a study say about each decision of a walk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import is_reserved
from npu_tune.samplers.profile.profiles import unpack_profile
from npu_tune.samplers.qvalues import DecisionValues, TableEntries, Values
from npu_tune.samplers.ranking import Scalarization, first_scale
from npu_tune.samplers.walk import Walk


@dataclass(frozen=True)
class Rewards:
    """The rule by which a trial's cost becomes rewards.

    Args:
        scalarization: a function of the objectives; anything else leaves them apart.
        profile: the user attribute under which trials carry their profile.
        cost_column: of the profile, by which costs are shared out; the first one where it is not
            in a profile.
        failure_cost: added to the cost of a failed trial, and per unit of violated constraints.
    """

    scalarization: Scalarization | None
    profile: str
    cost_column: str
    failure_cost: float

    def values(self, values: Floats) -> Floats:
        """The values that are learned from, one or one per objective."""
        if callable(self.scalarization):
            return np.array([float(self.scalarization(values.tolist()))])
        return values

    def shares(self, trial: FrozenTrial, layers: Mapping[str, int]) -> Mapping[int, float]:
        """Shares of the cost by layer; rows of no layer count for the layer before them."""
        rows = unpack_profile(trial.user_attrs.get(self.profile))
        column = self.cost_column
        if not any(column in row for row in rows.values()):
            column = next((c for row in rows.values() for c in row), "")
        found: dict[int, float] = {}
        layer: int | None = None
        for name, row in rows.items():
            layer = layer if is_reserved(name) else layers.get(name, layer)
            if layer is not None:
                found[layer] = found.get(layer, 0.0) + row.get(column, 0.0)
        total = sum(found.values())
        if not (math.isfinite(total) and total > 0):
            return dict.fromkeys(layers.values(), 1.0 / max(len(layers), 1))
        return {layer: cost / total for layer, cost in found.items()}


@dataclass(frozen=True)
class _First:
    """The first completed trial, relative to which rewards are."""

    index: int
    scale: Floats
    costs: Floats
    shares: Mapping[int, float]


class QTable:
    """Rewards by decision, the action before it and the action taken, and what they are worth.

    The state of a decision is the decision itself and the action before it. A reward is what a
    layer's part of the cost came down by against the first trial.

    Args:
        walk: the decisions.
        objectives: of the study.
        rewards: how they are made.
    """

    def __init__(self, walk: Walk, *, objectives: int, rewards: Rewards) -> None:
        self.walk = walk
        self._rewards = rewards
        self._width = 1 if callable(rewards.scalarization) else objectives
        self._layers = {walk.space.names[layer]: layer for layer in walk.space.movable}
        self._first: _First | None = None
        self._read = 0
        self.evaluations = 0
        self.usual: Sequence[int] = ()
        self._forget()

    @property
    def is_empty(self) -> bool:
        """True while no trial has completed."""
        return self._first is None

    def read(self, history: History, trials: Sequence[FrozenTrial]) -> None:
        """Adds new trials; starts anew where an earlier trial turns out to be the first."""
        completed = np.flatnonzero(~np.isnan(history.values).any(axis=1))
        if not len(completed):
            return
        index = int(completed[np.argmin(history.number_column[completed])])
        if self._first is None or index != self._first.index:
            self._first = self._start(history, index, trials[history.numbers[index]])
            self.usual = self.walk.actions_of(history.points[index])
            self._forget()
        for new in range(self._read, len(history.points)):
            self._add(history, new, trials[history.numbers[new]], self._first)
        self._read = len(history.points)

    def worth(
        self, weights: Floats, *, discount: float, learning_rate: float
    ) -> list[DecisionValues]:
        """The table at which replaying all trials again and again ends, decision by decision.

        As a walk goes from one state to the next without chance, one pass from the last decision
        to the first finds it.

        Args:
            weights: of the objectives.
            discount: what the next decision's worth counts.
            learning_rate: how far one observation moves an entry.
        """
        result: list[DecisionValues] = []
        last = self._entries[-1].actions if self._entries else 0
        nothing = Values.of(last, np.zeros(0, dtype=np.int64), np.zeros(0), 0.0)
        for entries in reversed(self._entries):
            after = result[-1].best if result else nothing
            result.append(
                entries.worth(weights, after, discount=discount, learning_rate=learning_rate)
            )
        return result[::-1]

    def _forget(self) -> None:
        self._read = 0
        self.evaluations = 0
        actions = [decision.actions for decision in self.walk.decisions]
        self._entries = [
            TableEntries(states, count, self._width)
            for states, count in zip([1, *actions], actions, strict=False)
        ]

    def _start(self, history: History, index: int, trial: FrozenTrial) -> _First:
        values = self._rewards.values(history.values[index])
        scale = first_scale(values[None], np.zeros(1, dtype=np.int64))
        return _First(index, scale, values / scale, self._rewards.shares(trial, self._layers))

    def _add(self, history: History, index: int, trial: FrozenTrial, first: _First) -> None:
        self.evaluations += index not in history.duplicates
        values = history.values[index]
        # Costs are 1 for the first trial, also where its values are negative or 0.
        costs = np.ones(self._width)
        if np.isnan(values).any():
            costs = costs + self._rewards.failure_cost
        else:
            costs = costs + self._rewards.values(values) / first.scale - first.costs
            costs = costs + self._rewards.failure_cost * float(history.violations[index])
        shares = self._rewards.shares(trial, self._layers)
        before = 0
        point = history.points[index]
        for decision, entries in zip(self.walk.decisions, self._entries, strict=True):
            layer, action = decision.layer, decision.action_of(point)
            gain = first.shares.get(layer, 0.0) - costs * shares.get(layer, 0.0)
            entries.add(before, action, (decision.share * gain).tolist())
            before = action
