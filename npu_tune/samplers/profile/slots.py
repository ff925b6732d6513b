"""What the cost of a layer may depend on, as rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.layers import Choice, LayeredSpace, Parameter, Point


class Slots:
    """What the cost of a layer may depend on, as a row of numbers: a context.

    A slot is a parameter of the layer itself, of the layer before or behind it, or of the
    network. The same parameter of two layers stands in the same slot.

    Args:
        space: of the study.
        layers: in the order in which they are neighbours.
        reach: how many layers away another one may be.

    Attributes:
        width: how many slots there are.
        parameters: per layer and slot the parameter, or None where the layer has none there.
        own: the slots of the layer's own parameters come first; how many they are.
    """

    def __init__(self, space: LayeredSpace, layers: Sequence[int], reach: int) -> None:
        self.layers = tuple(layers)
        self.reach = reach
        names: dict[str, int] = {}
        for layer in layers:
            for parameter in space.layers[layer]:
                if parameter.size > 1:
                    names.setdefault(parameter.short_name, len(names))
        self.own = len(names)
        self._network = space.network_wide
        self.blocks = (0, *(sign * step for step in range(1, reach + 1) for sign in (-1, 1)))
        self.network_start = len(self.blocks) * self.own
        self.width = self.network_start + len(self._network)
        # Per layer: where in its choice stands what goes to which of its own slots.
        self.places: list[list[tuple[int, int]]] = [
            [(i, names[p.short_name]) for i, p in enumerate(space.layers[layer]) if p.size > 1]
            for layer in layers
        ]
        self.parameters: list[list[Parameter | None]] = []
        for at in range(len(layers)):
            row: list[Parameter | None] = [None] * self.width
            for block, step in enumerate(self.blocks):
                other = at + step
                if 0 <= other < len(layers):
                    for i, slot in self.places[other]:
                        row[block * self.own + slot] = space.layers[layers[other]][i]
            for slot, (layer, i) in enumerate(self._network):
                row[self.network_start + slot] = space.layers[layer][i]
            self.parameters.append(row)

    def own_rows(self, at: int, choices: Sequence[Choice]) -> NDArray[np.int64]:
        """Choices of one layer as its own slots; -1 where it has no parameter."""
        rows = np.full((len(choices), self.own), -1, dtype=np.int64)
        places = np.array(self.places[at])
        rows[:, places[:, 1]] = np.array(choices)[:, places[:, 0]]
        return rows

    def network_row(self, point: Point) -> NDArray[np.int64]:
        """The network-wide parameters of a point."""
        return np.array([point[layer][i] for layer, i in self._network], dtype=np.int64)

    def contexts(self, point: Point) -> NDArray[np.int64]:
        """Per layer its row of slots."""
        count, own = len(self.layers), self.own
        rows = np.full((count, self.width), -1, dtype=np.int64)
        for at, layer in enumerate(self.layers):
            rows[at, :own] = self.own_rows(at, [point[layer]])[0]
        for block, step in enumerate(self.blocks[1:], start=1):
            here = slice(max(-step, 0), count - max(step, 0))
            there = slice(max(step, 0), count - max(-step, 0))
            rows[here, block * own : (block + 1) * own] = rows[there, :own]
        rows[:, self.network_start :] = self.network_row(point)
        return rows
