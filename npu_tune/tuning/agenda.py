"""When a study evaluates something again instead of searching on."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from npu_tune.space import Configuration
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.repeats import (
    Repeat,
    RepeatSettings,
    confirmation_rounds,
    finalist_rounds,
    reference_is_due,
)
from npu_tune.tuning.trial import REFERENCE, TrialRecord, is_repeat


class Agenda:
    """The repeats of a study whose evaluations differ; none where they do not.

    What is due follows from the trials alone, so that an interrupted study goes on as if nothing
    had happened.

    Args:
        trials: of the study; grows while the study runs.
        objective: of the study.
        default: the baseline's configuration.
        deterministic: True where evaluations do not differ.
        evaluations: the budget; None where only time or the search space ends the study.
        settings: how evaluations are spent on repeats.
    """

    def __init__(
        self,
        trials: Sequence[TrialRecord],
        objective: Objective,
        *,
        default: Configuration,
        deterministic: bool,
        evaluations: int | None,
        settings: RepeatSettings | None = None,
    ) -> None:
        self._trials = trials
        self._objective = objective
        self._default = default
        self._settings = settings or RepeatSettings()
        self._deterministic = deterministic
        self._has_end = not deterministic
        self.reserve = 0
        if not deterministic and evaluations is not None:
            self.reserve = self._settings.reserve(evaluations)
            self._has_end = self.reserve > 0
        self._due: deque[Repeat] = deque()

    def repeat(self, running: Iterable[str]) -> Repeat | None:
        """What to evaluate again now; None where the search may go on.

        Args:
            running: origins of the trials under way.
        """
        if self._due:
            return self._due.popleft()
        if self._deterministic or REFERENCE in running:
            return None
        if reference_is_due(self._trials, self._settings):
            return self._default, REFERENCE
        return None

    def end_search(self, left: int | None) -> bool:
        """Plans what follows the search, stage by stage; False where nothing does.

        Called when nothing is under way and everything planned is done.

        Args:
            left: evaluations that may still be made; None for any number.
        """
        if not self._has_end or left == 0:
            return False
        if self._due:
            return True
        trials, settings = list(self._trials), self._settings
        start = len(trials)
        while start and is_repeat(trials[start - 1]):
            start -= 1
        # Several workers finish in another order than that of the plan.
        done = Counter((trial.configuration, trial.origin) for trial in trials[start:])
        repeated = done.total()
        told_apart = list(
            finalist_rounds(trials[:start], self._objective, settings, default=self._default)
        )
        self._due.extend(_without(told_apart, done))
        if self._due:
            return True
        repeated -= len(told_apart)
        rounds = 2 * settings.most_rounds
        confirmed = confirmation_rounds(
            trials[: start + len(told_apart)],
            self._objective,
            default=self._default,
            evaluations=rounds if left is None else min(left + repeated, rounds),
        )
        self._due.extend(_without(confirmed, done))
        return bool(self._due)


def _without(planned: Iterable[Repeat], done: Counter[Repeat]) -> Iterator[Repeat]:
    """What is planned and not done yet; takes what is done off the count."""
    for repeat in planned:
        if done[repeat] > 0:
            done[repeat] -= 1
        else:
            yield repeat
