"""Workers that evaluate side by side, simulated event by event: nobody sleeps."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy

Told = tuple[Sequence[float], dict[str, Any]]


@dataclass(frozen=True)
class Shift:
    """What a number of workers did.

    Args:
        trials: in the order in which they began.
        busy: the share of the workers' time spent evaluating.
        repeated: how many trials began with the parameters of a finished or running one.
    """

    trials: list[FrozenTrial]
    busy: float
    repeated: int


def work(
    study: SearchStudy,
    evaluate: Callable[[dict[str, Any]], Told],
    *,
    workers: int,
    trials: int,
    seed: int,
) -> Shift:
    """Lets workers evaluate trials of random durations, between 0.1 and some 10.

    A proposal takes no time here; what it takes is the benchmark's concern.

    Args:
        study: is asked for a trial whenever a worker is free.
        evaluate: gives the values and the user attributes of parameters.
        workers: how many.
        trials: how many are begun.
        seed: of the durations.
    """
    random = np.random.default_rng(seed)
    running: list[tuple[float, int, FrozenTrial]] = []
    begun: list[FrozenTrial] = []
    seen: set[tuple[Any, ...]] = set()
    worked, repeated, now = 0.0, 0, 0.0
    while len(begun) < trials:
        trial = study.ask()
        params = tuple(trial.params.values())
        repeated += params in seen
        seen.add(params)
        begun.append(trial)
        duration = 0.1 + float(random.lognormal(0.0, 0.7))
        worked += duration
        heapq.heappush(running, (now + duration, trial.number, trial))
        if len(running) == workers:
            now, _, done = heapq.heappop(running)
            values, attributes = evaluate(done.params)
            study.tell(done, values, user_attrs=attributes)
    # The last ones are cut off where the first worker finds nothing more to do.
    worked -= sum(end - now for end, _, _ in running)
    return Shift(begun, worked / (workers * now), repeated)
