"""Q-learning on tables, by episodes that cost no evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats

_STAGES = (*[1.0] * 10, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
"""Shares of random decisions, stage by stage: half of the episodes explore, the others explore
less and less. After the schedule of arXiv:2006.05181, in which epsilon falls by tenths."""


@dataclass(frozen=True)
class Experience:
    """Transitions that episodes have made: what off-policy learning may learn from again.

    Args:
        visited: per layer of shape (choices before, choices).
    """

    visited: tuple[Floats, ...]

    def learn(self, costs: Sequence[Floats]) -> list[Floats]:
        """Replays all transitions from the last layer to the first, which settles the table.

        As no step is left to chance, the learning rate is 1; as walks end, nothing is discounted.

        Args:
            costs: minus the reward of each transition; in this table or any other one.

        Returns:
            What is still to be paid from each transition on; infinite where none was made.
        """
        values: list[Floats] = []
        ahead: Floats = np.zeros(costs[-1].shape[1])
        for cost, visited in zip(reversed(costs), reversed(self.visited), strict=True):
            values.append(np.where(visited > 0, cost + ahead[None, :], np.inf))
            ahead = values[-1].min(axis=1)
        return values[::-1]


def explore(
    costs: Sequence[Floats], random: np.random.Generator, *, episodes: int, batch: int
) -> Experience:
    """Walks through the layers again and again, at random at first and then by what was learnt.

    Args:
        costs: per layer of shape (choices before, choices); minus the reward.
        random: a generator.
        episodes: number of walks.
        batch: how many of them walk side by side.
    """
    experience = Experience(tuple(np.zeros(cost.shape) for cost in costs))
    batches = max(-(-episodes // batch), len(_STAGES))
    width = max(-(-episodes // batches), 1)
    values = [np.full(cost.shape, np.inf) for cost in costs]
    for number in range(batches):
        epsilon = _STAGES[number * len(_STAGES) // batches]
        before = np.zeros(width, dtype=np.int64)
        draws = random.random((2, len(costs), width))
        for at, cost in enumerate(costs):
            actions = (draws[0, at] * cost.shape[1]).astype(np.int64)
            if epsilon < 1.0:
                rows = values[at][before]
                best = rows.argmin(axis=1)
                known = np.isfinite(rows[np.arange(width), best])
                actions = np.where((draws[1, at] < epsilon) | ~known, actions, best)
            experience.visited[at][before, actions] = 1.0
            before = actions
        values = experience.learn(costs)
    return experience


def best_walk(values: Sequence[Floats]) -> list[int]:
    """Follows the least of what is still to be paid."""
    walk: list[int] = []
    before = 0
    for table in values:
        before = int(np.argmin(table[before]))
        walk.append(before)
    return walk
