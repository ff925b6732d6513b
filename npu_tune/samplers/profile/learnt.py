"""What was learnt from one study's profiles, made ready for proposals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from optuna.trial import FrozenTrial

from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.profile.compose import Aim
from npu_tune.samplers.profile.encoding import Encoding
from npu_tune.samplers.profile.limits import ColumnLimit, explain_limits, least_multiplier
from npu_tune.samplers.profile.patchwork import patchwork
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate, Relation, relate
from npu_tune.samplers.profile.segments import Segments
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.surrogate import Surrogate
from npu_tune.samplers.profile.sweeps import Sweep, apply_sweep, sweeps_of
from npu_tune.samplers.ranking import View


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
        # The scores that were asked for last, and what was fitted to them.
        self._related: tuple[bytes, Relation] | None = None
        self._limits: tuple[int, tuple[ColumnLimit, ...]] | None = None
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

    def limits(self) -> tuple[ColumnLimit, ...]:
        """Limits on sums of columns that stand for violated constraints; see `explain_limits`.

        None where a maximum, or no column, stands for one of them, and where evaluations are
        exact: then infeasible trials count as bad ones, and the relation learns from these what
        to avoid. On simulated NPUs, whose limits are on peaks, that found better configurations.
        """
        if self._noise == 0.0:
            return ()
        count = len(self.profiles)
        if self._limits is None or self._limits[0] != count:
            found = explain_limits(self.profiles) or ()
            is_sum = all(limit.aggregate.kind == SUM for limit in found)
            self._limits = count, found if is_sum else ()
        return self._limits[1]

    def relation(self, view: View, random: np.random.Generator, running: int) -> Relation:
        """Fits scores to the profiles, and adds what meets the limits on sums of columns.

        Where many trials are under way, a few more that have finished hardly change it: it is
        fitted anew only once ``refit_share`` of so many have.

        Args:
            view: the scores.
            random: decides what is tried for the multipliers of limits.
            running: trials that are under way.
        """
        limits, indices = self.limits(), self.profiles.indices
        if not limits:
            step = max(int(self._settings.refit_share * running), 1)
            count = len(indices) - len(indices) % step or len(indices)
            scores = view.scores[indices[:count]]
            asked = scores.tobytes()
            if self._related is None or self._related[0] != asked:
                self._related = asked, relate(self.profiles, scores, self._settings)
            return self._related[1]
        relation = relate(self.profiles, view.plain[indices], self._settings)
        for limit in limits:
            relation = self._restrain(relation, limit, random)
        return relation

    def _restrain(
        self, relation: Relation, limit: ColumnLimit, random: np.random.Generator
    ) -> Relation:
        """Adds a limit's column with the least multiplier at which a patchwork meets the limit."""
        column = limit.aggregate.column

        def is_met(multiplier: float) -> bool:
            aim = relation.plus(limit.aggregate, multiplier)
            found = patchwork(
                self.segments, aim, len(self.profiles.layers), random, self._settings
            )
            return bool(found.sums[column] <= limit.most)

        if is_met(0.0):
            return relation
        totals = self.profiles.totals(SUM)
        cost = sum(
            factor * float(np.abs(totals[:, aggregate.column]).mean())
            for aggregate, factor in relation.part(SUM).items()
        )
        start = 1e-2 * cost / max(abs(limit.most), 1e-300)
        return relation.plus(limit.aggregate, least_multiplier(is_met, start)[1])

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
