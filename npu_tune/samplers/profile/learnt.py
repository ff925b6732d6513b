"""What was learnt from one study's profiles, made ready for proposals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from optuna.trial import FrozenTrial

from npu_tune.samplers.history import Floats, History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.profile.compose import Aim
from npu_tune.samplers.profile.encoding import Encoding
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.relation import Relation, relate
from npu_tune.samplers.profile.segments import Segments
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.surrogate import Aggregate, Surrogate
from npu_tune.samplers.profile.sweeps import Sweep, apply_sweep, sweeps_of


class Learnt:
    """What was learnt from one study's profiles; can be rebuilt from its trials at any time.

    Args:
        profiles: of the study, empty at first.
        settings: of the sampler.
        noise: relative standard deviation of a trial's values.
    """

    def __init__(
        self, profiles: Profiles, settings: LayerProfileSettings, *, noise: float
    ) -> None:
        self.profiles = profiles
        self._settings = settings
        self._noise = noise
        self.segments = Segments(profiles.space, settings.least_observations)
        self.sweeps: tuple[Sweep, ...] = sweeps_of(profiles.space, settings.sweep_positions)
        self._encoding: Encoding | None = None
        self._surrogates: dict[Aggregate, Surrogate] = {}

    def read(self, history: History, trials: Sequence[FrozenTrial]) -> None:
        """Adds the trials that are new in the history."""
        self.profiles.read(history, trials)
        self.segments.read(self.profiles)

    @cached_property
    def first_sweeps(self) -> tuple[Point, ...]:
        """The sweeps of the first configuration; there is one from the first profile on."""
        return tuple(apply_sweep(self.profiles.points[0], sweep) for sweep in self.sweeps)

    def surrogate(self, aggregate: Aggregate) -> Surrogate:
        """The model of one aggregate; made once."""
        if aggregate not in self._surrogates:
            if self._encoding is None:
                self._encoding = Encoding(self.profiles.slots, self._settings.grid)
            self._surrogates[aggregate] = Surrogate(
                self.profiles, aggregate, self._encoding, self._settings, self._noise
            )
        return self._surrogates[aggregate]

    def relation(self, scores: Floats) -> Relation:
        """Fits scores, one per point of the history, to the profiles."""
        return relate(self.profiles, scores[self.profiles.indices], self._settings)

    def aim(
        self, relation: Relation, best: Point, random: np.random.Generator, boldness: float
    ) -> Aim:
        """Draws what a composition is to minimise: a ceiling on the peaks of the best point."""
        peaks, ceilings = relation.part(MAX), self._settings.ceilings
        share = ceilings[int(random.integers(len(ceilings)))]
        number = self.profiles.number_of(best)
        ceiling = {}
        for aggregate in peaks:
            column = aggregate.column
            present = 0.0 if number is None else self.profiles.total(number, column, MAX)
            ceiling[aggregate] = share * present
        return Aim(relation.part(SUM), peaks, ceiling, boldness)
