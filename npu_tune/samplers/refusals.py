"""What a sampler has proposed in vain, as somebody else was about to evaluate the same."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.samplers.history import History


class Refusals:
    """The refused proposals of one study; without any of them a sampler does as ever."""

    def __init__(self) -> None:
        self._params: list[dict[str, Any]] = []
        self._times: Counter[int] = Counter()
        self._told: weakref.WeakKeyDictionary[History, int] = weakref.WeakKeyDictionary()

    def add(self, trial: FrozenTrial) -> None:
        """Takes in what was proposed for a trial that goes on running."""
        self._params.append(dict(trial.params))
        self._times[trial.number] += 1

    def forget(self, number: int) -> None:
        """Takes notice that a trial has finished."""
        self._times.pop(number, None)

    def turn(self, number: int) -> tuple[int, ...]:
        """What is added to the seed of a trial; nothing at its first proposal."""
        times = self._times.get(number, 0)
        return (times,) if times else ()

    def tell(self, history: History) -> None:
        """Has a history know of all of them."""
        for params in self._params[self._told.get(history, 0) :]:
            point = history.space.encode(params)
            if point is not None:
                history.refuse(point)
        self._told[history] = len(self._params)
