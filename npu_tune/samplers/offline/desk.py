"""What is known of one study before a proposal: tables, limits and what follows offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.layers import Point
from npu_tune.samplers.offline.actions import ActionNumbers
from npu_tune.samplers.offline.costs import Observations, PairTables, pair_tables
from npu_tune.samplers.offline.episodes import Experience, explore
from npu_tune.samplers.offline.optimum import OfflineProblem, Peak, Tables, TotalBound, solve
from npu_tune.samplers.offline.settings import OfflineSettings
from npu_tune.samplers.offline.totals import fit_totals
from npu_tune.samplers.profile.limits import ColumnLimit, explain_limits
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles
from npu_tune.samplers.profile.relation import Aggregate, Relation, relate
from npu_tune.samplers.ranking import View
from npu_tune.samplers.steps import change


@dataclass(frozen=True)
class Solution:
    """A configuration that was found offline.

    Args:
        point: the configuration.
        score: that is predicted; None where scores are made worse for limits that no column
            explains.
    """

    point: Point
    score: float | None


@dataclass(frozen=True)
class Desk:
    """The profiles of one network setting as tables, and searches in them.

    Args:
        profiles: of the study; one at least of this setting.
        view: the scores of the trials.
        home: a point whose network-wide parameters, and layers without rows, are kept.
        settings: of the sampler.
        noise: relative standard deviation of a trial's values.
        episodes: number of episodes of a search.
        random: a generator made from the seed and the trial's number.
    """

    profiles: Profiles
    view: View
    home: Point
    settings: OfflineSettings
    noise: float
    episodes: int
    random: np.random.Generator

    def solutions(self, turn: int) -> Iterator[Solution]:
        """Yields what is best offline, then what is best with costs a little otherwise.

        Args:
            turn: a running number that decides how far from the limits to stay.
        """
        settings = self.settings
        cautions = settings.cautions
        costs = [table[:, :, 0] for table in self._sums.costs]
        experience = explore(costs, self.random, episodes=self.episodes, batch=settings.batch)
        for step in range(len(cautions)):
            caution = cautions[(turn + step) % len(cautions)]
            yield self._solve(experience, self._problem(caution), costs)
            if not self._limits:
                break
        for attempt in range(1, settings.attempts + 1):
            problem = self._problem(cautions[(turn + attempt) % len(cautions)])
            varied = self._vary(costs, attempt * settings.perturbation)
            yield self._solve(experience, problem, varied)

    def _solve(self, experience: Experience, problem: OfflineProblem, costs: Tables) -> Solution:
        """Finds the best walk for some costs, and what it is expected to cost in truth."""
        varied = OfflineProblem(costs, problem.bounds, problem.ceilings, problem.peaks)
        walk = solve(varied, experience, peak_limits=self.settings.peak_limits)
        changes = {
            layer: actions.choices[action]
            for layer, actions, action in zip(
                self.profiles.layers, self._actions, walk, strict=True
            )
        }
        expected = None if self._explained is None else problem.cost(walk) + self._constant
        return Solution(change(self.home, changes), expected)

    def _vary(self, costs: Tables, spread: float) -> Tables:
        """Costs by chance larger or smaller, those that were never seen more so."""
        tables = self._sums
        return [
            cost
            + spread
            * scale
            * (1.0 + self.settings.unseen * (seen == 0))
            * self.random.standard_normal(cost.shape)
            for cost, seen, scale in zip(costs, tables.seen, tables.scale, strict=True)
        ]

    def _problem(self, caution: float) -> OfflineProblem:
        sums, peaks = self._sums, self._peaks
        bounds = [
            TotalBound([table[:, :, 1 + i] for table in sums.costs], limit.budget(caution))
            for i, limit in enumerate(self._limits_of(SUM))
        ]
        ceilings = [
            TotalBound([table[:, :, i] for table in peaks.costs], limit.budget(caution))
            for i, limit in enumerate(self._limits_of(MAX))
        ]
        first = len(ceilings)
        highest = [
            Peak([table[:, :, first + i] for table in peaks.costs], factor)
            for i, factor in enumerate(self._relation.part(MAX).values())
        ]
        costs = [table[:, :, 0] for table in sums.costs]
        return OfflineProblem(costs, tuple(bounds), tuple(ceilings), tuple(highest))

    @cached_property
    def _limits(self) -> tuple[ColumnLimit, ...]:
        return self._explained or ()

    @cached_property
    def _explained(self) -> tuple[ColumnLimit, ...] | None:
        return explain_limits(self.profiles)

    def _limits_of(self, kind: int) -> list[ColumnLimit]:
        return [limit for limit in self._limits if limit.aggregate.kind == kind]

    @cached_property
    def _scores(self) -> Floats:
        """Per trial with a profile; infeasible ones are worse where no column says why."""
        scores = self.view.scores if self._explained is None else self.view.plain
        return scores[self.profiles.indices]

    @cached_property
    def _numbers(self) -> list[int]:
        """The trials with this network setting."""
        network = self.profiles.network()
        own = self.profiles.slots.network_row(self.home)
        same = (network == own).all(axis=1) & np.isfinite(self._scores)
        return [int(number) for number in np.flatnonzero(same)]

    @cached_property
    def _relation(self) -> Relation:
        """How scores follow from the profile; where rows are noisy, by the cost column alone.

        Times of a machine drift, and any column that does not would explain scores better.
        """
        profiles = self.profiles
        if self.noise > 0 and profiles.cost_column in profiles.columns:
            return Relation({Aggregate(profiles.columns.index(profiles.cost_column), SUM): 1.0})
        return relate(profiles, self._scores, self.settings.profile)

    @cached_property
    def _actions(self) -> list[ActionNumbers]:
        layers = self.profiles.space.layers
        return [ActionNumbers(layers[layer]) for layer in self.profiles.layers]

    @cached_property
    def _taken(self) -> np.ndarray:
        points = [self.profiles.points[number] for number in self._numbers]
        rows = [
            [
                actions.number(point[layer])
                for layer, actions in zip(self.profiles.layers, self._actions, strict=True)
            ]
            for point in points
        ]
        taken = np.array(rows, dtype=np.int64)
        self._draw_choices()
        return taken

    def _draw_choices(self) -> None:
        """Adds choices that were not observed, made of the values of those that were."""
        for layer, actions in zip(self.profiles.layers, self._actions, strict=True):
            if len(actions) >= self.profiles.space.choices[layer]:
                continue
            observed = np.array(actions.choices)
            places = np.arange(observed.shape[1])
            for _ in range(self.settings.drawn_choices):
                parents = self.random.integers(len(observed), size=len(places))
                actions.number(tuple(int(i) for i in observed[parents, places]))

    @cached_property
    def _parts(self) -> Floats:
        """What each layer adds to the score, trial by trial; of shape (trials, layers)."""
        rows = np.array([self.profiles.rows(number) for number in self._numbers])
        result: Floats = np.zeros(rows.shape[:2])
        for aggregate, factor in self._relation.part(SUM).items():
            result += factor * rows[:, :, aggregate.column, SUM]
        if self.noise > 0:
            # Only shares hold from one trial to the next.
            scores = self._scores[self._numbers]
            result *= (scores / np.maximum(result.sum(axis=1), 1e-300))[:, None]
        return result

    @cached_property
    def _constant(self) -> float:
        """What the score has beside what the layers add to it."""
        totals = self._parts.sum(axis=1)
        for aggregate, factor in self._relation.part(MAX).items():
            highest = [
                self.profiles.total(number, aggregate.column, MAX) for number in self._numbers
            ]
            totals = totals + factor * np.array(highest)
        return float(np.median(self._scores[self._numbers] - totals))

    @cached_property
    def _sums(self) -> PairTables:
        columns = [limit.aggregate.column for limit in self._limits_of(SUM)]
        rows = np.array([self.profiles.rows(n)[:, columns, SUM] for n in self._numbers])
        values = np.concatenate([self._parts[:, :, None], rows], axis=2)
        tables = self._tables(values, behind=True)
        if self.noise == 0.0:
            return tables
        return fit_totals(
            tables,
            Observations(self._actions, self._taken, values),
            self._totals(values.sum(axis=1)),
            self.settings,
            noise=max(self.noise * self.settings.total_noise, self.settings.least_noise),
        )

    def _totals(self, sums: Floats) -> Floats:
        """Totals of the rows, those of limits replaced by what the constraints stand for."""
        totals = sums.copy()
        for column, limit in enumerate(self._limits_of(SUM), start=1):
            rows = (self.profiles.constraints[number] for number in self._numbers)
            told = np.array([row.get(limit.constraint, np.nan) for row in rows])
            known = np.isfinite(told)
            totals[known, column] = limit.totals_at(told[known])
        return totals

    @cached_property
    def _peaks(self) -> PairTables:
        aggregates = [limit.aggregate for limit in self._limits_of(MAX)]
        aggregates += self._relation.part(MAX)
        columns = [aggregate.column for aggregate in aggregates]
        if not columns:
            return PairTables((), (), np.zeros(0))
        rows = np.array([self.profiles.rows(n)[:, columns, MAX] for n in self._numbers])
        return self._tables(rows, behind=False)

    def _tables(self, values: Floats, *, behind: bool) -> PairTables:
        taken = self._taken
        seen = Observations(self._actions, taken, values)
        noise = self.noise * self.settings.row_noise
        return pair_tables(seen, self.settings, noise=noise, behind=behind)


def home_of(profiles: Profiles, scores: Sequence[float] | Floats, *, noise: float) -> Point:
    """The point whose network setting is searched: the best one's, if that is a clear gain.

    Args:
        profiles: of the study.
        scores: per point of the history, lower is better.
        noise: relative standard deviation of a trial's values; another setting than the first
            one's is worth a change from a gain of twice that on, or of 1 %.
    """
    margin = max(2.0 * noise, 0.01)
    own = np.asarray(scores, dtype=np.float64)[profiles.indices]
    network = profiles.network()
    first = np.flatnonzero((network == network[0]).all(axis=1))
    stay, best = int(first[np.argmin(own[first])]), int(np.argmin(own))
    if own[best] < own[stay] - margin * abs(own[stay]):
        stay = best
    return profiles.points[stay]
