"""The chains of simulated annealing, replayed from the trials."""

from __future__ import annotations

import copy
import math
from bisect import insort
from dataclasses import dataclass, field, replace

import numpy as np

from npu_tune.samplers.cooling import AnnealingSettings, Cooling, is_accepted
from npu_tune.samplers.history import Floats, History
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


@dataclass
class _ChainState:
    """All chains after some of the trials."""

    chains: list[_Chain]
    scale: Floats | None = None
    evaluations: int = 0
    period: int = 0
    changes: list[float] = field(default_factory=list)
    median_change: float = 0.0

    def copy(self) -> _ChainState:
        twin = copy.copy(self)
        twin.chains, twin.changes = list(self.chains), list(self.changes)
        return twin


class Chains:
    """The chains of a study after its finished trials, in the order of their numbers.

    A trial belongs to the chain of its number modulo the number of chains. A trial that finishes
    late is inserted by its number and later ones are replayed, so that the chains depend on which
    trials have finished, and not on when.

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
        self._state = _ChainState(_start(count, objectives, scalarization, cooling.settings))
        self._read = 0
        # Points replayed for every proposal, as earlier trials are still running: pairs of the
        # trial's number and the point's index.
        self._waiting: list[tuple[int, int]] = []

    def point(self, history: History, number: int) -> Point | None:
        """The current point of a new trial's chain; None while no trial has completed."""
        for index in range(self._read, len(history.points)):
            insort(self._waiting, (history.numbers[index], index))
        self._read = len(history.points)
        settled = 0
        for waiting, index in self._waiting:
            if waiting >= history.settled:
                break
            self._step(self._state, history, index)
            settled += 1
        del self._waiting[:settled]
        state = self._state
        if self._waiting:
            state = state.copy()
            for _, index in self._waiting:
                self._step(state, history, index)
        chain = state.chains[number % len(state.chains)]
        place = chain.current or chain.best
        return None if place is None else history.points[place.index]

    def _step(self, state: _ChainState, history: History, index: int) -> None:
        """Replays one finished trial."""
        if not np.isnan(history.values[index]).any():
            self._visit(state, history, index)
        state.evaluations += index not in history.duplicates
        period = self._cooling.period(state.evaluations)
        if period != state.period:
            state.period = period
            state.chains = [replace(chain, current=None) for chain in state.chains]

    def _visit(self, state: _ChainState, history: History, index: int) -> None:
        """Lets the trial's chain accept or refuse its point, and updates the best of all chains."""
        number = history.numbers[index]
        if state.scale is None:
            state.scale = first_scale(history.values[[index]], np.array([number]))
        if len(history.measurements(index, until=number)) > 1:
            state.chains = [self._weigh_anew(state.scale, history, index, c) for c in state.chains]
        own = number % len(state.chains)
        place = self._place(history, index, state.scale, state.chains[own], until=number)
        state.chains[own] = self._move(state, state.chains[own], place, number)
        for at, other in enumerate(state.chains):
            seen = self._place(history, index, state.scale, other, until=number)
            if other.best is None or seen.rank < other.best.rank:
                state.chains[at] = replace(other, best=seen)

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
            usable = ~np.isnan(history.values).any(axis=1) & (np.array(history.numbers) <= until)
            places = [place(int(other)) for other in np.flatnonzero(usable)]
            best = min(places, key=lambda p: (p.rank, history.numbers[p.index]))
        return replace(chain, current=update(chain.current), best=best)

    def _move(self, state: _ChainState, chain: _Chain, place: _Place, number: int) -> _Chain:
        """Accepts or refuses a place."""
        present = chain.current or chain.best
        if present is None or place.violation != present.violation:
            # Feasible ones come first; among infeasible ones the one that is less so.
            better = present is None or place.violation < present.violation
            return replace(chain, current=place) if better else chain
        change = place.cost - present.cost
        if 0.0 < change <= self._noise * abs(present.cost):
            change = 0.0
        _observe(state, abs(change), self._settings.observed_changes)
        start = self._cooling.start(state.median_change)
        heat = self._cooling.temperature(state.evaluations, start, chain.corrected)
        draw = np.random.default_rng((self._seed, number, _DRAW)).random() if change > 0 else 0.0
        accepted = is_accepted(change, heat, draw)
        if change > 0:
            memory = self._settings.memory
            share = (1 - memory) * chain.accepted + memory * accepted
            correction = self._cooling.correction(state.evaluations, share)
            chain = replace(chain, accepted=share, corrected=chain.corrected * correction)
        return replace(chain, current=place) if accepted else chain

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


def _observe(state: _ChainState, change: float, most: int) -> None:
    if len(state.changes) < most and change > 0 and math.isfinite(change):
        state.changes.append(change)
        state.median_change = float(np.median(state.changes))
