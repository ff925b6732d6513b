"""What the actions of one decision are worth, kept for those alone that were seen."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats, Mask

Indices: TypeAlias = NDArray[np.int64]

_DIGITS = 12
"""Decimals of a value that decides; those behind depend on the order in which trials finished."""

_WHOLE = 2**10
"""Up to so many indices all have a number of their own, which is quicker."""

_CELLS = 2**16
"""Up to so many cells a table is filled in whole for a moment, which is quicker."""


@dataclass(frozen=True)
class Values:
    """A number for each of many indices: some have one of their own, and all others the same.

    Args:
        size: how many indices there are, from 0 on.
        known: indices with a number of their own, ascending.
        own: their numbers.
        rest: the number of every other index.
    """

    size: int
    known: Indices
    own: Floats
    rest: float

    @classmethod
    def of(cls, size: int, known: Indices, own: Floats, rest: float) -> Values:
        """Of few indices, all of them with numbers of their own."""
        if size > _WHOLE:
            return cls(size, known, own, rest)
        whole = np.full(size, rest)
        whole[known] = own
        return cls(size, np.arange(size), whole, rest)

    @property
    def others(self) -> int:
        """The number of indices that have none of their own."""
        return self.size - len(self.known)

    @property
    def largest(self) -> float:
        own = float(self.own.max()) if len(self.own) else -np.inf
        return max(own, self.rest) if self.others else own

    def at(self, indices: Indices) -> Floats:
        """The numbers of some indices."""
        if not self.others:
            return self.own[indices]
        if not len(self.known):
            return np.full(len(indices), self.rest)
        places = np.minimum(self.known.searchsorted(indices), len(self.known) - 1)
        return np.where(self.known[places] == indices, self.own[places], self.rest)

    def one(self, index: int) -> float:
        """The number of one index."""
        return float(self.at(np.array([index]))[0]) if self.others else float(self.own[index])

    def scaled(self, factor: float) -> Values:
        """Everything times a factor, rounded to what decides."""
        rest = float(np.round(factor * self.rest, _DIGITS)) if self.others else 0.0
        return Values(self.size, self.known, (factor * self.own).round(_DIGITS), rest)


@dataclass(frozen=True)
class _Seen:
    """The states of a decision that were seen and the actions seen in each, ascending.

    Args:
        order: the numbers of the entries in this order.
        states: without repetition.
        starts: where in the order each state begins.
        groups: per entry, the place of its state in ``states``.
        actions: per entry.
    """

    order: Indices
    states: Indices
    starts: Indices
    groups: Indices
    actions: Indices

    @classmethod
    def of(cls, states: Indices, actions: Indices) -> _Seen:
        order = np.lexsort((actions, states))
        states, actions = states[order], actions[order]
        is_first = np.diff(states, prepend=-1) > 0
        starts = np.flatnonzero(is_first)
        return cls(order, states[starts], starts, np.cumsum(is_first) - 1, actions)

    def of_state(self, state: int) -> slice:
        """Where the entries of a state stand."""
        first = int(self.states.searchsorted(state))
        if first == len(self.states) or self.states[first] != state:
            return slice(0, 0)
        last = first + 1 < len(self.starts)
        return slice(self.starts[first], self.starts[first + 1] if last else len(self.actions))


class TableEntries:
    """The entries of a decision's table that were seen: how often, and the sum of their rewards.

    Args:
        states: how many there are: the actions of the decision before, of which one was taken.
        actions: how many there are.
        width: numbers per reward.
    """

    def __init__(self, states: int, actions: int, width: int) -> None:
        self.states, self.actions = states, actions
        self._numbers: dict[int, int] = {}
        self._state, self._action = array("q"), array("q")
        self._counts = array("d")
        self._sums = tuple(array("d") for _ in range(width))
        self._seen: _Seen | None = None

    def add(self, state: int, action: int, reward: list[float]) -> None:
        """Adds one observation."""
        number = self._numbers.setdefault(state * self.actions + action, len(self._numbers))
        if number == len(self._counts):
            self._seen = None
            self._state.append(state)
            self._action.append(action)
            for column in (self._counts, *self._sums):
                column.append(0.0)
        self._counts[number] += 1
        for column, value in zip(self._sums, reward, strict=True):
            column[number] += value

    def worth(
        self, weights: Floats, after: Values, *, discount: float, learning_rate: float
    ) -> DecisionValues:
        """The values of all actions in all states.

        Args:
            weights: of the numbers of a reward.
            after: what each action leads to.
            discount: what that counts.
            learning_rate: an entry that was seen ``n`` times has come from 0 to
                ``1 - (1 - learning_rate) ** n`` of its mean.
        """
        if self._seen is None:
            self._seen = _Seen.of(np.array(self._state), np.array(self._action))
        seen = self._seen
        counts, sums = np.array(self._counts)[seen.order], np.array(self._sums)[:, seen.order]
        learned = (1.0 - (1.0 - learning_rate) ** counts) / counts
        values = (weights @ sums) * learned + discount * after.at(seen.actions)
        return DecisionValues(self.states, seen, values.round(_DIGITS), after.scaled(discount))


@dataclass(frozen=True)
class DecisionValues:
    """What every action of a decision is worth in every state.

    Args:
        states: how many there are.
        seen: the states and actions that were seen.
        values: of these.
        follow: of an action in a state in which it was not seen.
    """

    states: int
    seen: _Seen
    values: Floats
    follow: Values

    @cached_property
    def best(self) -> Values:
        """By state, what its best action is worth."""
        best = self.values
        if len(best):
            best = np.maximum(np.maximum.reduceat(best, self.seen.starts), self._best_unseen())
        return Values.of(self.states, self.seen.states, best, self.follow.largest)

    def decide(self, random: np.random.Generator, state: int, usual: int) -> int:
        """The best action of a state; of equals the usual one, else one of them at random."""
        entries = self.seen.of_state(state)
        actions, values = self.seen.actions[entries], self.values[entries]
        best = self.best.one(state)
        place = int(actions.searchsorted(usual))
        is_seen = place < len(actions) and actions[place] == usual
        if (values[place] if is_seen else self.follow.one(usual)) == best:
            return usual
        if not self.follow.others:
            row = self.follow.own.copy()
            row[actions] = values
            equals = np.flatnonzero(row == best)
            return int(equals[random.integers(len(equals))])
        return self._draw(random, actions, values == best, best)

    def _draw(
        self, random: np.random.Generator, actions: Indices, is_best: Mask, best: float
    ) -> int:
        """Draws one of very many actions that are worth most, given those seen in the state."""
        follow = self.follow
        unseen = np.setdiff1d(follow.known, actions, assume_unique=True)
        unseen_best = follow.at(unseen) == best
        if follow.rest != best:
            equals = np.sort(np.concatenate([actions[is_best], unseen[unseen_best]]))
            return int(equals[random.integers(len(equals))])
        # All but these are worth the same; the number drawn counts those.
        worse = np.sort(np.concatenate([actions[~is_best], unseen[~unseen_best]]))
        drawn = int(random.integers(follow.size - len(worse)))
        return drawn + int((worse - np.arange(len(worse)) <= drawn).sum())

    def _best_unseen(self) -> Floats:
        """Per state that was seen, the most that an action is worth that was not seen in it."""
        seen, follow = self.seen, self.follow
        if len(seen.states) * follow.size <= _CELLS:
            table = np.empty((len(seen.states), follow.size))
            table[:] = follow.at(np.arange(follow.size)) if follow.others else follow.own
            table[seen.groups, seen.actions] = -np.inf
            return np.asarray(table.max(axis=1))
        order = np.argsort(-follow.own, kind="stable")
        ranked = list(zip(follow.known[order].tolist(), follow.own[order].tolist(), strict=True))
        known = set(follow.known.tolist())
        best = []
        for actions in np.split(seen.actions, seen.starts[1:]):
            taken = set(actions.tolist())
            own = next((value for action, value in ranked if action not in taken), -np.inf)
            has_other = len(taken - known) < follow.others
            best.append(max(own, follow.rest) if has_other else own)
        return np.array(best)
