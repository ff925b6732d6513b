"""How many evaluations are handed to a worker at once, and when some are made ready for it."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable

MOST = 16
"""No more go into one task: a worker that dies begins it again."""

_LEAST_SHARE = 10.0
"""Times as long as handing over a task its evaluations are to take together."""

_SHARE_OF_BUDGET = 0.02
"""Of the planned evaluations may be under way: what is under way teaches the sampler nothing yet."""

_MEMORY = 0.8
"""Weight of what was known of the duration when one more was measured."""

_GAP = 0.05
"""Of the duration of a task a worker may wait for the driver before the next one is made ready."""

_TASKS = 9
"""So many tasks are looked back on; their median minds no single one, such as the first."""

SHARE_READY = 0.002
"""Of the planned evaluations may wait for a worker. With two workers and one that waits, 500
evaluations of `layerwise` find as much as without it, and those of `annealing` a cost that is higher
by 0.07 %; with 200 it is 0.5 %, which is all that the time won would bring."""


class BatchSize:
    """The number of evaluations in the next task, from what evaluations take.

    It is 1 until something was measured, for one worker, and wherever an evaluation takes at least
    ten times as long as handing it over: a batch would only let the sampler know less.

    Args:
        workers: how many there are.
        task_s: what it takes to hand a task to a worker and its answer back, in seconds.
        budget: evaluations that are planned in all; None where that is not known.
    """

    def __init__(self, workers: int, *, task_s: float, budget: int | None = None) -> None:
        self._task_s = task_s
        self._mean_s: float | None = None
        self._most = MOST if workers > 1 else 1
        if budget is not None:
            self._most = max(min(self._most, int(_SHARE_OF_BUDGET * budget) // workers), 1)

    @property
    def now(self) -> int:
        """The number, at least 1."""
        if self._mean_s is None:
            return 1
        wanted = _LEAST_SHARE * self._task_s / max(self._mean_s, 1e-9)
        return min(max(math.ceil(wanted), 1), self._most)

    def learn(self, seconds: Iterable[float]) -> None:
        """Takes in what evaluations have taken; 0 for those that were not made."""
        for taken in seconds:
            if taken > 0:
                known = taken if self._mean_s is None else self._mean_s
                self._mean_s = _MEMORY * known + (1 - _MEMORY) * taken


class Ahead:
    """Whether a task is made ready while all workers are busy, for the first that is free again.

    That worker then does not wait until the driver has proposed something, and the driver proposes
    while all are at work. What is proposed ahead knows one answer less. It is therefore done only
    where the driver takes more than a twentieth of what a task takes, and where what waits is no
    more than two in a thousand of the planned evaluations; and never with one worker, so that every
    proposal knows all that was evaluated before it.

    It is one for all workers, not one for each: that gains nearly as much, and what is proposed
    ahead lacks one answer, not as many as there are workers.

    Args:
        workers: how many there are.
        budget: evaluations that are planned in all; None where that is not known.
    """

    def __init__(self, workers: int, *, budget: int | None = None) -> None:
        self._most = 0.0 if workers == 1 else math.inf
        if budget is not None:
            self._most = min(self._most, SHARE_READY * budget)
        self._gaps: deque[float] = deque(maxlen=_TASKS)

    def pays(self, size: int) -> bool:
        """Whether a task of so many evaluations is to be made ready."""
        is_known = len(self._gaps) == _TASKS
        return size <= self._most and is_known and statistics.median(self._gaps) > _GAP

    def learn(self, driver_s: float, task_s: float) -> None:
        """Takes in what the driver has taken between two tasks, and what the former has taken."""
        if task_s > 0:
            self._gaps.append(driver_s / task_s)
