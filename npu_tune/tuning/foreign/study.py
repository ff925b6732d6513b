"""A study that plain Optuna has written, as it was read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import METRIC_NAMES_KEY
from npu_tune.errors import UsageError
from npu_tune.pareto import nondominated
from npu_tune.tuning.ledger import Ledger
from npu_tune.validation import key_name

_IN_TURN = (
    TrialState.WAITING,
    TrialState.RUNNING,
    TrialState.PRUNED,
    TrialState.FAIL,
)
"""Behind what is complete: what somebody has asked for, what was begun, given up, and failed."""


@dataclass(frozen=True)
class ForeignStudy:
    """What a study of plain Optuna holds.

    Args:
        name: of the study.
        place: where it was read, without a password.
        directions: ``minimize`` or ``maximize`` per objective.
        names: of its objectives; empty where it does not say.
        trials: in the order of their numbers, unfinished ones among them.
    """

    name: str
    place: str
    directions: tuple[str, ...]
    names: tuple[str, ...]
    trials: Sequence[FrozenTrial]

    @classmethod
    def of(cls, ledger: Ledger, place: str, *, names: Sequence[str] = ()) -> ForeignStudy:
        """What an open ledger holds.

        Args:
            ledger: of the study.
            place: as people may read it.
            names: of the objectives; none for those that the study says.

        Raises:
            UsageError: if there are not as many names as objectives.
        """
        directions = tuple(ledger.directions())
        if names and len(names) != len(directions):
            raise UsageError(
                f"The study {ledger.name!r} has {_count(len(directions), 'objective')}, and "
                f"{key_name('import.values', 'its names')} names {len(names)}.",
                remedy="Name one metric per objective, in their order.",
            )
        known = tuple(names) or tuple(ledger.system_attributes().get(METRIC_NAMES_KEY) or ())
        return cls(ledger.name, place, directions, known, ledger.trials())

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Of each parameter that some trial was asked for, the latest."""
        found: dict[str, BaseDistribution] = {}
        for trial in self.trials:
            found |= trial.distributions
        return found

    @property
    def best_first(self) -> list[FrozenTrial]:
        """Complete trials from the best on, those that break a constraint last; then the others.

        Of several objectives, what no other trial dominates comes first, and then the sum of the
        objectives, each scaled to the range that it has.
        """
        complete = [t for t in self.trials if t.state is TrialState.COMPLETE]
        ranks = self._ranks(complete)
        ordered = [complete[i] for i in sorted(range(len(complete)), key=ranks.__getitem__)]
        for state in _IN_TURN:
            ordered += [trial for trial in self.trials if trial.state is state]
        return ordered

    def metrics(self, trial: FrozenTrial, known: Sequence[str]) -> dict[str, float]:
        """The numbers of a trial by name: its values, and attributes that are called like metrics.

        Args:
            trial: of the study.
            known: names of metrics.
        """
        if trial.state is not TrialState.COMPLETE:
            return {}
        said: list[tuple[str, Any]] = [(name, trial.user_attrs.get(name)) for name in known]
        return {name: v for name, v in [*said, *self._values(trial)] if _is_number(v)}

    def _values(self, trial: FrozenTrial) -> Iterator[tuple[str, float]]:
        for number, value in enumerate(trial.values or ()):
            yield self.names[number] if self.names else f"value {number}", value

    def _ranks(self, trials: Sequence[FrozenTrial]) -> list[tuple[Any, ...]]:
        if not trials:
            return []
        signs = np.array([-1.0 if each == "maximize" else 1.0 for each in self.directions])
        points = np.array([trial.values for trial in trials], dtype=float) * signs
        points = np.clip(points, -_LARGE, _LARGE)
        spans = np.ptp(points, axis=0)
        sums = ((points - points.min(axis=0)) / np.where(spans > 0, spans, 1.0)).sum(axis=1)
        front = set(nondominated(points).tolist())
        return [
            (_violation(trial), i not in front, float(sums[i]), trial.number)
            for i, trial in enumerate(trials)
        ]


_LARGE = 1e300
"""Stands for infinity where values are scaled."""


def _violation(trial: FrozenTrial) -> float:
    return sum(max(value, 0.0) for value in trial.constraints.values())


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def states(trials: Sequence[FrozenTrial]) -> Mapping[str, int]:
    """How many trials there are by state, in small letters; states that none has are left out."""
    order = (TrialState.COMPLETE, *_IN_TURN)
    counts = {state: sum(trial.state is state for trial in trials) for state in order}
    return {state.name.lower(): count for state, count in counts.items() if count}
