"""Contexts of layers as vectors, near each other where layers are likely to cost alike."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.layers import Parameter
from npu_tune.samplers.profile.slots import Slots

Contexts: TypeAlias = NDArray[np.int64]


class Encoding:
    """Turns contexts (rows of :class:`Slots`) into vectors.

    Every value of a slot is a token, the same one in all layers; of long ordered parameters only
    where they are equally long. A token has a vector, whose squared distances within a slot are
    1 between unordered values and 1/2 per step between ordered ones, and an effect, which long
    ordered parameters have per part of their range.

    Args:
        slots: what is encoded.
        grid: number of steps into which a long ordered parameter is divided.

    Attributes:
        vector_slots: per dimension of a vector, its slot.
        effect_slots: per effect, its slot; those of own slots come first.
    """

    def __init__(self, slots: Slots, grid: int) -> None:
        self.width, self.own_slots = slots.width, slots.own
        tokens = _tokens(slots, grid)
        numbers = {token: number for number, token in enumerate(tokens)}
        self._missing = len(tokens)
        self._token_slots = np.array([token[0] for token in tokens], dtype=np.int64)
        self.own_tokens = int((self._token_slots < slots.own).sum())
        self._table = _table(slots, numbers, grid)
        self._vectors, self.vector_slots = _vectors(tokens)
        self._effects, self.effect_slots = _effects(tokens)
        self.own_effects = int((self.effect_slots < slots.own).sum())

    def one_hot(self, place: int, contexts: Contexts) -> Floats:
        """One-hot tokens of contexts of one layer; of shape (contexts, tokens)."""
        return self._hot(self._table[place, np.arange(contexts.shape[1]), contexts])

    def vectors(self, hot: Floats) -> Floats:
        """Vectors of contexts."""
        return hot @ self._vectors

    def distances(self, weights: Floats) -> Floats:
        """Weighted squared distances between tokens of the same slot; 0 between others."""
        same = self._token_slots[:, None] == self._token_slots[None, :]
        norms = np.einsum("ij,ij->i", self._vectors, self._vectors)
        squares: Floats = norms[:, None] + norms[None, :]
        # In place, as these tables are the largest there are.
        squares -= 2.0 * self._vectors @ self._vectors.T
        np.maximum(squares, 0.0, out=squares)
        squares *= weights[self._token_slots, None]
        squares[~same] = 0.0
        return squares

    def spread_singles(self, single: Floats) -> Floats:
        """Effects by token."""
        return self._effects @ single

    def spread_pairs(self, pairs: Floats) -> Floats:
        """Effects of two own effects by own token."""
        own = self._effects[: self.own_tokens, : self.own_effects]
        return own @ pairs @ own.T

    def effects(self, hot: Floats) -> Floats:
        """Indicators of the effects of contexts; of shape (contexts, effects)."""
        return hot @ self._effects

    def _hot(self, tokens: Contexts) -> Floats:
        hot = np.zeros((len(tokens), self._missing + 1))
        hot[np.arange(len(tokens))[:, None], tokens] = 1.0
        return hot[:, :-1]


Token = tuple[int, str, bool, float]
"""Slot, label, whether ordered, position on the grid."""


def _token(slot: int, parameter: Parameter, value: int, grid: int) -> Token:
    size = parameter.size
    if not parameter.ordered:
        return slot, repr(parameter.value_of(value)), False, 0.0
    if size <= grid + 1:
        return slot, str(value), True, float(value)
    return slot, f"{value}/{size}", True, value / (size - 1) * grid


def _tokens(slots: Slots, grid: int) -> list[Token]:
    found = {
        _token(slot, parameter, value, grid): None
        for row in slots.parameters
        for slot, parameter in enumerate(row)
        if parameter is not None
        for value in range(parameter.size)
    }
    return sorted(found)


def _table(slots: Slots, numbers: dict[Token, int], grid: int) -> Contexts:
    """Per layer, slot and value its token; a value of -1 is the last one and has none."""
    longest = max((p.size for row in slots.parameters for p in row if p is not None), default=0)
    table = np.full(
        (len(slots.parameters), slots.width, longest + 1), len(numbers), dtype=np.int64
    )
    for place, row in enumerate(slots.parameters):
        for slot, parameter in enumerate(row):
            if parameter is not None:
                for value in range(parameter.size):
                    table[place, slot, value] = numbers[_token(slot, parameter, value, grid)]
    return table


def _vectors(tokens: list[Token]) -> tuple[Floats, NDArray[np.int64]]:
    columns: list[Floats] = []
    slots: list[int] = []
    for slot in dict.fromkeys(token[0] for token in tokens):
        mine = np.array([token[0] == slot for token in tokens])
        position = np.array([token[3] for token in tokens])
        if any(token[2] for token in tokens if token[0] == slot):
            steps = int(np.ceil(position[mine].max()))
            new = [mine * np.clip(position - step, 0.0, 1.0) for step in range(steps)]
        else:
            new = [(np.arange(len(tokens)) == i) * 1.0 for i in np.flatnonzero(mine)]
        columns += new
        slots += [slot] * len(new)
    stacked = np.array(columns).reshape(len(columns), len(tokens)).T
    return stacked * np.sqrt(0.5), np.array(slots, dtype=np.int64)


def _effects(tokens: list[Token]) -> tuple[Floats, NDArray[np.int64]]:
    labels: dict[tuple[int, str], int] = {}
    rows = np.zeros((len(tokens), len(tokens)))
    for number, (slot, label, ordered, position) in enumerate(tokens):
        name = f"part {round(position)}" if ordered and "/" in label else label
        rows[number, labels.setdefault((slot, name), len(labels))] = 1.0
    return rows[:, : len(labels)], np.array([slot for slot, _ in labels], dtype=np.int64)
