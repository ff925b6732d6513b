"""The chains of simulated annealing, replayed from the trials."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.cooling import AnnealingSettings, Cooling, is_accepted
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.ranking import Scalarization, emphasis, first_scale

_DRAW = 1
"""Tells the draws that accept from those that propose, which have the same seed."""


@dataclass(frozen=True)
class _Place:
    """A point as a chain weighs it: by how much it violates constraints, and its cost."""

    index: int
    violation: float
    cost: float

    @property
    def rank(self) -> tuple[float, float]:
        return self.violation, self.cost


@dataclass(frozen=True)
class _Chain:
    """One chain: its weights, its current point, and the best of all trials under its weights."""

    weights: Floats | None
    current: _Place | None = None
    best: _Place | None = None
    corrected: float = 1.0
    accepted: float = 0.0


@dataclass(frozen=True)
class _ChainState:
    """All chains after some of the trials.

    Args:
        chains: what each of them has come to.
        number: of the latest of these trials.
        scale: of the objectives; None while no trial has completed.
        evaluations: of the trials up to that number, also of those that are still running.
        period: number of times that chains have gone back to the best.
        changes: of the cost, the first so many.
        median_change: of these.
    """

    chains: tuple[_Chain, ...]
    number: int = -1
    scale: Floats | None = None
    evaluations: int = 0
    period: int = 0
    changes: tuple[float, ...] = ()
    median_change: float = 0.0

    def leads_where(self, other: _ChainState) -> bool:
        """Whether the trials that follow will find the same with this state as with another."""
        return (
            self.evaluations == other.evaluations
            and self.period == other.period
            and self.changes == other.changes
            and _is_same_scale(self.scale, other.scale)
            and all(map(_is_same, self.chains, other.chains))
        )


def _is_same_scale(first: Floats | None, second: Floats | None) -> bool:
    if first is None or second is None:
        return first is second
    return first is second or np.array_equal(first, second)


def _is_same(first: _Chain, second: _Chain) -> bool:
    return first is second or (
        (first.current, first.best, first.corrected, first.accepted)
        == (second.current, second.best, second.corrected, second.accepted)
    )


class Chains:
    """The chains of a study after its finished trials, in the order of their numbers.

    A trial belongs to the chain of its number modulo the number of chains. A trial that finishes
    late is inserted by its number and later ones are replayed, so that the chains depend on which
    trials have finished, and not on when. Where it has changed nothing for those that follow, which
    is soon, the rest stands as it was. What still runs counts as an evaluation.

    Args:
        count: of chains.
        cooling: their schedule.
        objectives: of the study.
        scalarization: how several objectives become one cost; None for chains that each weigh
            them differently.
        noise: relative standard deviation of a trial's values. Differences of the cost within it
            are ties, and a point's cost is the mean over its trials so far.
        seed: of what is accepted.
    """

    def __init__(
        self,
        *,
        count: int,
        cooling: Cooling,
        objectives: int,
        scalarization: Scalarization | None,
        noise: float,
        seed: int,
    ) -> None:
        self._cooling = cooling
        self._settings = cooling.settings
        self._noise = noise
        self._seed = seed
        self._function = scalarization if callable(scalarization) else None
        # After the trials below which none is running, and after each of the others.
        self._settled = _ChainState(
            tuple(_start(count, objectives, scalarization, cooling.settings))
        )
        self._after: list[_ChainState | None] = []
        # These others: pairs of the trial's number and the point's index.
        self._waiting: list[tuple[int, int]] = []
        self._read = 0

    def point(self, history: History, number: int) -> Point | None:
        """The current point of a new trial's chain; None while no trial has completed."""
        new = [(history.numbers[i], i) for i in range(self._read, len(history.points))]
        self._read = len(history.points)
        for entry in new:
            at = bisect_left(self._waiting, entry)
            self._waiting.insert(at, entry)
            self._after.insert(at, None)
        end = 0
        for place in sorted(bisect_left(self._waiting, entry) for entry in new):
            if place >= end:
                end = self._replay(history, place)
        settled = bisect_left(self._waiting, (history.settled, -1))
        self._settled = self._state(settled - 1)
        del self._waiting[:settled], self._after[:settled]
        state = self._state(len(self._waiting) - 1)
        chain = state.chains[number % len(state.chains)]
        known = chain.current or chain.best
        return None if known is None else history.points[known.index]

    def _state(self, place: int) -> _ChainState:
        """After one of the trials that are not settled; before all of them for -1."""
        return self._settled if place < 0 else self._after[place] or self._settled

    def _replay(self, history: History, place: int) -> int:
        """Replays trials from a new one on, as far as it makes a difference; returns to where."""
        state = self._state(place - 1)
        for at in range(place, len(self._waiting)):
            state, known = self._step(state, history, self._waiting[at][1]), self._after[at]
            self._after[at] = state
            # Of noisy trials a new one changes what is known of others of the same point.
            if known is not None and self._noise == 0 and state.leads_where(known):
                return at + 1
        return len(self._waiting)

    def _step(self, state: _ChainState, history: History, index: int) -> _ChainState:
        """Replays one finished trial."""
        number = history.numbers[index]
        state = self._count(state, number - state.number - 1)
        if not np.isnan(history.values[index]).any():
            state = self._visit(state, history, index)
        return replace(self._count(state, index not in history.duplicates), number=number)

    def _count(self, state: _ChainState, evaluations: int) -> _ChainState:
        """Goes back to the best where that many more evaluations say so."""
        done = state.evaluations + evaluations
        period = self._cooling.period(done)
        chains = state.chains
        if period != state.period:
            chains = tuple(replace(chain, current=None) for chain in chains)
        return replace(state, evaluations=done, period=period, chains=chains)

    def _visit(self, state: _ChainState, history: History, index: int) -> _ChainState:
        """Lets the trial's chain accept or refuse its point, and updates the best of all chains."""
        number = history.numbers[index]
        scale, chains = state.scale, list(state.chains)
        if scale is None:
            scale = first_scale(history.values[[index]], np.array([number]))
        if len(history.measurements(index, until=number)) > 1:
            chains = [self._weigh_anew(scale, history, index, c) for c in chains]
        own = number % len(chains)
        place = self._place(history, index, scale, chains[own], until=number)
        state, chains[own] = self._move(state, chains[own], place, number)
        for at, other in enumerate(chains):
            seen = self._place(history, index, scale, other, until=number)
            if other.best is None or seen.rank < other.best.rank:
                chains[at] = replace(other, best=seen)
        return replace(state, chains=tuple(chains), scale=scale)

    def _weigh_anew(self, scale: Floats, history: History, index: int, chain: _Chain) -> _Chain:
        """Updates what a chain knows of a point of which another trial has finished."""
        point, until = history.points[index], history.numbers[index]

        def place(other: int) -> _Place:
            return self._place(history, other, scale, chain, until=until)

        def update(known: _Place | None) -> _Place | None:
            is_same = known is not None and history.points[known.index] == point
            return place(index) if is_same else known

        best = update(chain.best)
        if best is not None and chain.best is not None and best.rank > chain.best.rank:
            usable = ~np.isnan(history.values).any(axis=1) & (history.number_column <= until)
            places = [place(int(other)) for other in np.flatnonzero(usable)]
            best = min(places, key=lambda p: (p.rank, history.numbers[p.index]))
        return replace(chain, current=update(chain.current), best=best)

    def _move(
        self, state: _ChainState, chain: _Chain, place: _Place, number: int
    ) -> tuple[_ChainState, _Chain]:
        """Accepts or refuses a place; the state has the change of the cost in it."""
        present = chain.current or chain.best
        if present is None or place.violation != present.violation:
            # Feasible ones come first; among infeasible ones the one that is less so.
            better = present is None or place.violation < present.violation
            return state, replace(chain, current=place) if better else chain
        change = place.cost - present.cost
        if 0.0 < change <= self._noise * abs(present.cost):
            change = 0.0
        state = _observe(state, abs(change), self._settings.observed_changes)
        start = self._cooling.start(state.median_change)
        heat = self._cooling.temperature(state.evaluations, start, chain.corrected)
        draw = np.random.default_rng((self._seed, number, _DRAW)).random() if change > 0 else 0.0
        accepted = is_accepted(change, heat, draw)
        if change > 0 and self._cooling.is_corrected:
            memory = self._settings.memory
            share = (1 - memory) * chain.accepted + memory * accepted
            correction = self._cooling.correction(state.evaluations, share)
            chain = replace(chain, accepted=share, corrected=chain.corrected * correction)
        return state, replace(chain, current=place) if accepted else chain

    def _place(
        self, history: History, index: int, scale: Floats, chain: _Chain, *, until: int
    ) -> _Place:
        """Weighs a point by its trials up to a number, after at least one has completed."""
        values, violation = history.mean_of(history.measurements(index, until=until))
        if self._function is not None:
            cost = float(self._function(values.tolist()))
        elif chain.weights is not None:
            cost = float((values / scale) @ chain.weights)
        else:
            cost = float(values[0] / scale[0])
        return _Place(index, violation, cost)


def _start(
    count: int,
    objectives: int,
    scalarization: Scalarization | None,
    settings: AnnealingSettings,
) -> list[_Chain]:
    if callable(scalarization) or (scalarization is None and objectives == 1):
        return [_Chain(None)] * count
    if scalarization is not None:
        return [_Chain(np.asarray(scalarization, dtype=np.float64))] * count
    factors = [np.ones(objectives)]
    factors += [emphasis(turn, objectives) for turn in range(1, max(count, settings.front_chains))]
    return [_Chain(factor / factor.sum()) for factor in factors]


def _observe(state: _ChainState, change: float, most: int) -> _ChainState:
    if len(state.changes) >= most or change <= 0 or not math.isfinite(change):
        return state
    changes = (*state.changes, change)
    return replace(state, changes=changes, median_change=statistics.median(changes))
