"""Optuna's genetic algorithms, made to go on after an interruption as if there had been none."""

from __future__ import annotations

from typing import Any

from optuna.samplers import BaseGASampler, NSGAIIISampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class _ParentsInOrder(BaseGASampler):
    """Returns parents in the order of their trials.

    Optuna returns them by rank when it selects them and by number when they are read again, so
    that the first child after an interruption would have other parents.
    """

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        parents = super().get_parent_population(study, generation)
        return sorted(parents, key=lambda trial: trial.number)


class NSGAII(_ParentsInOrder, NSGAIISampler):
    """Optuna's NSGA-II."""


class NSGAIII(_ParentsInOrder, NSGAIIISampler):
    """Optuna's NSGA-III, whose random selection of parents is seeded by the generation alone.

    Args:
        options: as of Optuna's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options

    def select_parent(self, study: Study, generation: int) -> list[FrozenTrial]:
        # Earlier generations are selected first, each with its own seed.
        self.get_parent_population(study, generation - 1)
        # Of this very class, under whose name Optuna stores the generation of every trial.
        selecting = NSGAIII(**{**self._options, "seed": generation})
        return super(NSGAIII, selecting).select_parent(study, generation)
