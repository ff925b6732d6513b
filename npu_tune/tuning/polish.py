"""Polishing: the best configuration without the changes that gain nothing.

A search ends with many changes of which some do nothing, or harm a little. Polishing reverts them to
the default as long as the cost does not rise. Every question is a trial of the study; which one
comes next follows from the trials alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from npu_tune.errors import UsageError
from npu_tune.space import Configuration, SearchSpace
from npu_tune.tuning.reverts import Revert, ask_reverts
from npu_tune.tuning.trial import TrialRecord, is_polish
from npu_tune.validation import key_name, sentence


@dataclass(frozen=True)
class PolishSettings:
    """How a study polishes its best configuration.

    Args:
        share: of the budget, evaluations and wall time, that is kept for polishing at most. Of 200
            evaluations on mobilenet-v1-0.25-96 and ethos-u55-128, 20 took back 28 of 83 changes at no
            cost and 40 took back 30 and lowered the cost by half a per cent; on mobilenet-v2-0.35-128
            and neural-art-stm32n6 the last 20 evaluations of a search may still gain more than that.
        per_change: evaluations that are kept for every change of the best; each is asked once and,
            after the last gain, once more.
        most: evaluations of one polishing; None for the share of the budget.
        alone: whether nothing but polishing is done.
    """

    share: float = 0.1
    per_change: float = 2.0
    most: int | None = None
    alone: bool = False


def settings_of(
    asked: bool | int | None, *, deterministic: bool, objectives: int
) -> PolishSettings | None:
    """How a study polishes; None where it does not.

    Args:
        asked: what the study file says; None for polishing wherever that is possible.
        deterministic: whether evaluations repeat exactly.
        objectives: that the sampler sees.

    Raises:
        UsageError: if it is asked for where it is not possible.
    """
    reason = None
    if not deterministic:
        reason = "evaluations differ from one another here, so that no revert is known to be free"
    elif objectives > 1:
        reason = "a Pareto front has no one best configuration"
    if reason is not None and asked:
        raise UsageError(
            f"{sentence(key_name('study.polish'))} asks to polish the best, and {reason}.",
            remedy="Leave it out.",
            value=asked,
        )
    if reason is not None or asked is False:
        return None
    return PolishSettings(most=asked if type(asked) is int else None)


class Polish:
    """Which revert a study evaluates next, if any.

    Args:
        trials: of the study; grows while the study runs.
        space: of the problem.
        settings: None to polish nothing.
        evaluations: the budget; None where only time or the search space ends the study.

    Attributes:
        is_on: whether it was the turn of polishing when that was asked last.
    """

    def __init__(
        self,
        trials: Sequence[TrialRecord],
        space: SearchSpace,
        settings: PolishSettings | None,
        *,
        evaluations: int | None,
    ) -> None:
        self._trials = trials
        self._space = space
        self._settings = settings
        self._most: float = math.inf
        if settings is not None and settings.most is not None:
            self._most = settings.most
        elif settings is not None and evaluations is not None:
            self._most = math.floor(settings.share * evaluations)
        # Cost by configuration; infinite where it failed or misses a limit.
        self._costs: dict[Configuration, float] = {}
        self._learnt = 0
        # The best of the first trials, so many that no polishing stands at their end.
        self._best: TrialRecord | None = None
        self._seen = 0
        self.is_on = False

    @property
    def alone(self) -> bool:
        """Whether nothing but polishing is done."""
        return self._settings is not None and self._settings.alone

    def turn(
        self,
        running: tuple[Collection[Configuration], bool],
        *,
        left: int | None,
        time_used: float,
        is_last: bool,
    ) -> tuple[bool, Revert | None]:
        """Whether it is the turn of polishing, and what to evaluate; None where that must wait.

        Polishing begins when the search has nothing under way, and goes on until no revert is
        free; what it leaves of the budget is the search's again.

        Args:
            running: reverts under way, which are taken to cost more until that is known, and
                whether any other trial is.
            left: evaluations of the budget that are left; None for any number.
            time_used: share of the wall time that is used up.
            is_last: whether the search has nothing left to try.
        """
        self.is_on = False
        if self._settings is None or self._most < 1:
            return False, None
        asked, is_searching = running
        first = len(self._trials)
        while first and is_polish(self._trials[first - 1]):
            first -= 1
        spent = len(asked) + sum(t.duplicate_of is None for t in self._trials[first:])
        if not (spent or is_last or self._is_time(first, left, time_used)):
            return False, None
        start = self._best_of(first)
        if start is None:
            return False, None
        revert = None if spent >= self._most else self._first_open(start, asked)
        self.is_on = bool(revert or asked)
        return self.is_on, None if is_searching else revert

    def _best_of(self, count: int) -> TrialRecord | None:
        """The best of so many trials from the first one on, of which there are ever more."""
        self._best, self._seen = self._better_of(self._trials[self._seen : count]), count
        return self._best

    def _better_of(self, later: Sequence[TrialRecord]) -> TrialRecord | None:
        known = () if self._best is None else (self._best,)
        return best_trial([*known, *later], self._space.default)

    def _is_time(self, first: int, left: int | None, time_used: float) -> bool:
        """Whether it is, after so many trials; for most of a search that is told without them."""
        settings = self._settings
        if settings is None or settings.alone:
            return settings is not None
        if time_used >= 1 - settings.share:
            return True
        if left is None or left > self._most:
            return False
        best = self._best_of(first)
        return best is not None and left <= settings.per_change * best.changes(self._space.default)

    def _first_open(self, start: TrialRecord, running: Collection[Configuration]) -> Revert | None:
        """Goes through the questions with the answers that are known, up to one that is not."""
        for trial in self._trials[self._learnt :]:
            cost = math.inf if trial.cost is None or not trial.feasible else trial.cost
            self._costs.setdefault(trial.configuration, cost)
        self._learnt = len(self._trials)
        while True:
            polishing = ask_reverts(start.configuration, self._space)
            cost, base = self._costs[start.configuration], start.configuration
            try:
                revert = next(polishing)
                while revert.configuration in self._costs or revert.configuration in running:
                    found = self._costs.get(revert.configuration, math.inf)
                    is_free = found <= cost
                    cost = min(cost, found)
                    revert = polishing.send(is_free)
            except StopIteration as end:
                base = end.value
            else:
                return revert
            # What several workers asked ahead of time may be better than where this has led.
            best = self._better_of(self._trials[self._seen :])
            if best is None or best.configuration in (base, start.configuration):
                return None
            start = best


def best_trial(trials: Iterable[TrialRecord], default: Configuration) -> TrialRecord | None:
    """The feasible trial of the lowest cost; of equals that with the fewest changes, the earliest.

    Args:
        trials: of a study whose evaluations repeat exactly.
        default: the baseline's configuration.
    """
    feasible = [t for t in trials if t.feasible and t.cost is not None]
    least = min((t.cost or 0.0 for t in feasible), default=0.0)
    equals = [t for t in feasible if t.cost == least]
    if len(equals) == 1:
        return equals[0]
    return min(equals, key=lambda t: (t.changes(default), t.number), default=None)


@dataclass(frozen=True)
class Polished:
    """What a polishing came to.

    Args:
        before: the best trial before it.
        after: the best trial when it ended.
        changes_before: number of knobs that the first one sets otherwise than the default.
        changes_after: of the second one.
        evaluations: that it took.
    """

    before: TrialRecord
    after: TrialRecord
    changes_before: int
    changes_after: int
    evaluations: int


def polished(trials: Sequence[TrialRecord], default: Configuration) -> Polished | None:
    """What polishing came to in a study; None where there was none.

    Where a study was polished several times, as the search had evaluations left or was resumed, it
    is the latest time that took something back.
    """
    latest = None
    first = 0
    for is_polishing, group in groupby(trials, key=is_polish):
        end = first + len(list(group))
        if is_polishing:
            latest = _better(latest, _between(trials, first, end, default))
        first = end
    return latest


def _between(
    trials: Sequence[TrialRecord], first: int, end: int, default: Configuration
) -> Polished | None:
    before, after = best_trial(trials[:first], default), best_trial(trials[:end], default)
    if before is None or after is None:
        return None
    spent = sum(trial.duplicate_of is None for trial in trials[first:end])
    return Polished(before, after, before.changes(default), after.changes(default), spent)


def _better(earlier: Polished | None, later: Polished | None) -> Polished | None:
    gains = later is not None and later.after is not later.before
    return later if gains or earlier is None else earlier
