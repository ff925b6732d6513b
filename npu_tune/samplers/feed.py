"""What has changed among a study's trials since they were read last."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import is_not

from optuna.trial import FrozenTrial


class TrialFeed:
    """Follows the trials of a study; a reading costs what is new, and next to nothing for others.

    Storages hand out the same object again for a trial that is what it was, as all of Optuna's do
    for finished ones, so that most trials are told by their identity.
    """

    def __init__(self) -> None:
        # Finished trials without a gap from the first one on, and all that follow these.
        self._settled: list[FrozenTrial] = []
        self._open: list[FrozenTrial] = []

    @property
    def settled(self) -> int:
        """Trials with a number below this have all finished and been read."""
        return len(self._settled)

    def changed(self, trials: list[FrozenTrial]) -> list[FrozenTrial] | None:
        """The trials that are new, or running ones that have changed; in the order of numbers.

        None where finished trials are no longer what was read before: nothing that was read holds.
        """
        before, count = self._open, len(self._settled)
        if self._settled != trials[:count]:
            return None
        now = trials[count:]
        if len(now) < len(before):
            return None
        found = []
        for old, new in compress(zip(before, now, strict=False), map(is_not, before, now)):
            if not old.state.is_finished():
                found.append(new)
            elif old != new:
                return None
        found += now[len(before) :]
        end = _first_open(now)
        self._settled += now[:end]
        self._open = now[end:]
        return found


def _first_open(trials: Sequence[FrozenTrial]) -> int:
    """How many trials have finished before the first one that has not."""
    return next((at for at, t in enumerate(trials) if not t.state.is_finished()), len(trials))
