"""Proposals while no trial has completed: the baseline once, and then its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


@dataclass(frozen=True)
class Opening:
    """The first proposals of a study whose trials run in parallel.

    A trial's proposal depends on the trials of lower number alone, so that it is the same for
    each of its parameters whatever finishes meanwhile.

    Args:
        baseline: the parameters to start from.
        seed: of the order in which parameters are changed.
    """

    baseline: Mapping[str, Any]
    seed: int

    def turn(self, study: Study, trial: FrozenTrial) -> int | None:
        """0 for the trial that has the baseline, another number for its neighbours.

        None where the trial began after one had completed: there is something to build upon.
        """
        earlier = study.get_trials(deepcopy=False)[: trial.number]
        if any(_had_completed(other, trial) for other in earlier):
            return None
        return trial.number if any(map(self._claims_baseline, earlier)) else 0

    def changed(self, turn: int) -> frozenset[str]:
        """The parameters in which a neighbour differs.

        One, another one for each in turn; when each has had its turn, two, and so on.
        """
        cycle, first = divmod(turn, len(self._order))
        count = min(cycle + 1, len(self._order))
        return frozenset(self._order[(first + k) % len(self._order)] for k in range(count))

    @cached_property
    def _order(self) -> list[str]:
        names = sorted(self.baseline)
        return [names[i] for i in np.random.default_rng(self.seed).permutation(len(names))]

    def _claims_baseline(self, other: FrozenTrial) -> bool:
        """True where another trial is, or may still become, the baseline's."""
        if other.state == TrialState.WAITING or (other.state.is_finished() and not other.params):
            return False
        shared = other.params.keys() & self.baseline.keys()
        return all(other.params[name] == self.baseline[name] for name in shared)


def _had_completed(other: FrozenTrial, trial: FrozenTrial) -> bool:
    if other.state != TrialState.COMPLETE:
        return False
    ended, began = other.datetime_complete, trial.datetime_start
    return ended is None or began is None or ended <= began
