"""What a study of a problem whose evaluations differ evaluates again, and when.

Three kinds of repeats are evaluations of the study like any other:

- the baseline every so often, so that costs are taken against a nearby reference;
- at the end the best few, in turn with the baseline, to tell which of them is best;
- that one, in turn with the baseline, to say what it really gains. A search picks what looked
  best, so that what was seen before says too much good of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from npu_tune.space import Configuration
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.samples import merge_repeats
from npu_tune.tuning.trial import CONFIRMATION, FINALIST, REFERENCE, TrialRecord, is_reference


@dataclass(frozen=True)
class RepeatSettings:
    """How evaluations are spent on repeats.

    Args:
        reference_every: evaluations between two of the baseline: a machine drifts within
            minutes, and one in ten costs less than what drift would do to every comparison.
        finalists: configurations that are told apart at the end. The noise of a single
            evaluation hides the true best among the first few, seldom further behind.
        finalist_rounds: further evaluations of each of them.
        confirmation_share: of the budget, for the last two kinds together.
        least_rounds: of the confirmation; fewer give no interval worth stating.
        most_rounds: of the confirmation; more narrow the interval by little.
    """

    reference_every: int = 10
    finalists: int = 4
    finalist_rounds: int = 3
    confirmation_share: float = 0.25
    least_rounds: int = 6
    most_rounds: int = 40

    def reserve(self, evaluations: int) -> int:
        """Evaluations of a budget that are kept for its end; 0 where it is too small for that."""
        least = (self.finalists + 1) * self.finalist_rounds + 2 * self.least_rounds
        most = (self.finalists + 1) * self.finalist_rounds + 2 * self.most_rounds
        wanted = max(round(evaluations * self.confirmation_share), least)
        return min(wanted, most) if 2 * least <= evaluations else 0


Repeat = tuple[Configuration, str]
"""What is to be evaluated again, and the origin of that trial."""


def reference_is_due(trials: Sequence[TrialRecord], settings: RepeatSettings) -> bool:
    """True where the baseline was not evaluated for too long."""
    since = 0
    for trial in reversed(trials):
        if is_reference(trial):
            break
        since += trial.duplicate_of is None
    return since >= settings.reference_every


def finalist_rounds(
    trials: Sequence[TrialRecord],
    objective: Objective,
    settings: RepeatSettings,
    *,
    default: Configuration,
) -> Iterator[Repeat]:
    """The best few in turn with the baseline.

    Args:
        trials: of the study.
        objective: of the study.
        settings: how many, and how often.
        default: the baseline's configuration.
    """
    ranked = sorted(_feasible(trials, objective), key=lambda t: (t.cost or 0.0, t.number))
    chosen = [t.configuration for t in ranked if t.configuration != default][: settings.finalists]
    for _ in range(settings.finalist_rounds if chosen else 0):
        yield default, REFERENCE
        for configuration in chosen:
            yield configuration, FINALIST


def confirmation_rounds(
    trials: Sequence[TrialRecord],
    objective: Objective,
    *,
    default: Configuration,
    evaluations: int,
) -> Iterator[Repeat]:
    """The best of the finalists in turn with the baseline.

    Args:
        trials: of the study.
        objective: of the study.
        default: the baseline's configuration.
        evaluations: that are left for it.
    """
    finalists = {t.configuration for t in trials if t.origin == FINALIST}
    candidates = [t for t in _feasible(trials, objective) if t.configuration in finalists]
    best = min(candidates, key=lambda t: (_mean_cost(t), t.number), default=None)
    if best is None:
        return
    for number in range(evaluations):
        is_confirmation = number % 2 == 1
        yield (best.configuration, CONFIRMATION) if is_confirmation else (default, REFERENCE)


def _feasible(trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    return [trial for trial in merge_repeats(trials, objective) if trial.feasible]


def _mean_cost(trial: TrialRecord) -> float:
    return math.inf if trial.cost is None else trial.cost
