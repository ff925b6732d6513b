"""Optuna's genetic algorithms, made to go on after an interruption as if there had been none."""

from __future__ import annotations

import inspect
from typing import Any

from optuna.samplers import BaseGASampler, NSGAIIISampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class _ParentsInOrder(BaseGASampler):
    """Has parents in the order of their trials.

    Optuna returns them by rank when it selects them, and by number whenever they are asked for
    again, so that the first child after an interruption would have other parents.
    """

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        parents = super().get_parent_population(study, generation)
        return sorted(parents, key=lambda trial: trial.number)


class NSGAII(_ParentsInOrder, NSGAIISampler):
    """Optuna's NSGA-II."""


class NSGAIII(_ParentsInOrder, NSGAIIISampler):
    """Optuna's NSGA-III, which draws lots when it selects parents: by the generation alone here.

    Args:
        options: as of Optuna's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options

    def select_parent(self, study: Study, generation: int) -> list[FrozenTrial]:
        # Those before are selected first, each with the lots of its own generation.
        self.get_parent_population(study, generation - 1)
        # Of this very class, by whose name Optuna marks the generation of every trial.
        selecting = NSGAIII(**{**self._options, "seed": generation})
        return super(NSGAIII, selecting).select_parent(study, generation)


NSGAIII.__signature__ = inspect.signature(NSGAIIISampler)  # type: ignore[attr-defined]
