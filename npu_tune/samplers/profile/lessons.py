"""What profiles tell the layer-wise search: which layers matter, and what a value does to each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from npu_tune.samplers.arrays import Floats, Integers
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Choice, LayeredSpace, Point
from npu_tune.samplers.profile.profiles import SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate, Relation, relate
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.sweeps import apply_sweep, sweeps_of

_NEAR_PEAK = 8
"""Power of a row relative to the largest one: a layer matters to a peak if it is near it."""

_MOST_PROFILES = 200
"""No more are read: a study may have a hundred thousand, and by then what was observed of the
layers' choices themselves says more."""

Value: TypeAlias = tuple[int, int]
"""A parameter of a layer and the index of one of its values."""


@dataclass(frozen=True)
class Lessons:
    """What is expected of layers and their values.

    Args:
        importance: shares of the layers in the score, one per layer of the space; their mean is 1.
        changes: by layer and then by parameter and value (their indices), how much the score is
            expected to change with it, relative to the first trial.
    """

    importance: Floats
    changes: Mapping[int, Mapping[Value, float]]

    def expect(self, layer: int, candidates: NDArray[np.int64], present: Choice) -> Floats:
        """Expected change of the score by each candidate (a row of indices) for a layer."""
        expected: Floats = np.zeros(len(candidates))
        for place, (values, gains) in self._tables.get(layer, {}).items():
            asked = np.append(candidates[:, place], present[place])
            found = np.minimum(np.searchsorted(values, asked), len(values) - 1)
            told = np.where(values[found] == asked, gains[found], 0.0)
            expected += told[:-1] - told[-1]
        return expected

    @cached_property
    def _tables(self) -> Mapping[int, Mapping[int, tuple[Integers, Floats]]]:
        """The changes by layer and by parameter: its values in order, and the change by each."""
        tables: dict[int, dict[int, tuple[Integers, Floats]]] = {}
        for layer, known in self.changes.items():
            rows: dict[int, list[tuple[int, float]]] = defaultdict(list)
            for (place, value), change in sorted(known.items()):
                rows[place].append((value, change))
            tables[layer] = {
                place: (np.array([v for v, _ in row]), np.array([change for _, change in row]))
                for place, row in rows.items()
            }
        return tables


class LessonBook:
    """Reads lessons from the profiles of a study's trials.

    Args:
        space: of the study.
        key: the user attribute under which trials carry their profile.
    """

    def __init__(self, space: LayeredSpace, key: str) -> None:
        self._settings = LayerProfileSettings()
        self._profiles = Profiles(space, key, keeps_contexts=False)
        self._sweeps = sweeps_of(space, self._settings.sweep_positions)
        self._swept = 0  # sweeps from the first one on that were tried
        # By place of a layer and value: how many trials had it alone, and the sum of how much its
        # row changed in them.
        self._count: dict[tuple[int, Value], int] = defaultdict(int)
        self._change: dict[tuple[int, Value], Floats] = {}
        self._read = 0
        # What was told last, and of which scores: it takes longer to work out than a proposal.
        self._told: tuple[bytes, Lessons] | None = None

    def read(self, history: History, trials: Sequence[FrozenTrial]) -> None:
        """Adds the trials that are new in the history, until enough profiles were read."""
        profiles = self._profiles
        profiles.read(history, trials, most=_MOST_PROFILES)
        for trial in range(self._read, len(profiles)):
            changes = profiles.rows(trial) - profiles.rows(0)
            for place, layer in enumerate(profiles.layers):
                pair = zip(profiles.points[0][layer], profiles.points[trial][layer], strict=True)
                other = [(at, new) for at, (old, new) in enumerate(pair) if new != old]
                if len(other) == 1:
                    key = (place, other[0])
                    self._count[key] += 1
                    self._change[key] = self._change.get(key, 0.0) + changes[place]
        self._read = len(profiles)

    def next_sweep(self, history: History) -> Point | None:
        """The first trial with one parameter set alike in all layers; None where all were tried."""
        first = self._profiles.points[0]
        while self._swept < len(self._sweeps):
            point = apply_sweep(first, self._sweeps[self._swept])
            if point not in history.taken:
                return point
            self._swept += 1
        return None

    def lessons(self, scores: Floats) -> Lessons | None:
        """What is known so far; None where no trial has a profile.

        Of a sum, a layer has the share of its row; a maximum is shared out among the layers near
        it. Layers without rows, such as the choices of the whole network, have the mean
        importance. What a value does to a layer is read from the trials in which it is all that
        differs, in that layer, from the first trial; its row changes with its neighbours' choices
        too, which is averaged over these trials. What matters is told by the best of the profiles;
        the best trial may have none, such as one that was answered with another's evaluation.

        Args:
            scores: of all points of the history.
        """
        profiles = self._profiles
        if not len(profiles):
            return None
        scores = scores[profiles.indices]
        asked = scores.tobytes()
        if self._told is None or self._told[0] != asked:
            self._told = asked, self._lessons(scores)
        return self._told[1]

    def _lessons(self, scores: Floats) -> Lessons:
        """What follows from the scores of the trials that have a profile."""
        profiles = self._profiles
        relation = relate(profiles, scores, self._settings)
        rows = np.abs(profiles.rows(int(np.argmin(scores))))
        weights = _weights(relation, rows)
        shares = sum(
            (w * rows[:, a.column, a.kind] for a, w in weights.items()),
            start=np.zeros(len(profiles.layers)),
        )
        importance: Floats = np.ones(len(profiles.space.names))
        if shares.mean() > 0:
            importance[list(profiles.layers)] = shares / shares.mean()
        return Lessons(importance, self._changes(weights))

    def _changes(self, weights: Mapping[Aggregate, Floats]) -> dict[int, dict[Value, float]]:
        """By layer and value, the mean change of the score."""
        found: dict[int, dict[Value, float]] = defaultdict(dict)
        if not self._change:
            return found
        keys, rows = list(self._change), np.array(list(self._change.values()))
        places = [place for place, _ in keys]
        means = rows / np.array([self._count[key] for key in keys])[:, None, None]
        scores: Floats = np.zeros(len(keys))
        for aggregate, weight in weights.items():
            scores += weight[places] * means[:, aggregate.column, aggregate.kind]
        for (place, value), score in zip(keys, scores.tolist(), strict=True):
            found[self._profiles.layers[place]][value] = score
        return found


def _weights(relation: Relation, rows: Floats) -> dict[Aggregate, Floats]:
    """What a unit of each layer's row adds to the score, by aggregate."""
    weights = {}
    for aggregate, factor in relation.factors.items():
        row = rows[:, aggregate.column, aggregate.kind]
        if row.max(initial=0.0) > 0.0:
            is_sum = aggregate.kind == SUM
            weights[aggregate] = factor * (np.ones(len(row)) if is_sum else _nearness(row))
    return weights


def _nearness(row: Floats) -> Floats:
    near = (row / row.max()) ** _NEAR_PEAK
    return np.asarray(near / near.sum())
