"""What the cost of a layer may depend on, as rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import IntDistribution

from npu_tune.samplers.layers import Choice, LayeredSpace, Parameter, Point
from npu_tune.samplers.profile.settings import LayerProfileSettings


class Slots:
    """What the cost of a layer may depend on, as a row of numbers: a context.

    A slot is a parameter of the layer itself, of the layer before or behind it, or of the
    network. The same parameter of two layers stands in the same slot. Of an ordered parameter
    with very many values, equal parts of its range count as one value each, so that what is
    learnt of it takes no more room than of any other.

    Args:
        space: of the study.
        layers: in the order in which they are neighbours.
        settings: say how many layers away another one may be, and which parameters are divided
            into how many parts.

    Attributes:
        width: how many slots there are.
        parameters: per layer and slot the parameter, one of parts where it is divided, or None
            where the layer has none there.
        own: the slots of the layer's own parameters come first; how many they are.
    """

    def __init__(
        self, space: LayeredSpace, layers: Sequence[int], settings: LayerProfileSettings
    ) -> None:
        self.layers = tuple(layers)
        self.reach = reach = settings.reach
        names: dict[str, int] = {}
        for layer in layers:
            for parameter in space.layers[layer]:
                if parameter.size > 1:
                    names.setdefault(parameter.short_name, len(names))
        self.own = len(names)
        self._network = space.network_wide
        self._parts = settings.grid + 1
        self._most_values = _most_values(space, settings)
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
                        parameter = space.layers[layers[other]][i]
                        row[block * self.own + slot] = self._divided(parameter)
            for slot, (layer, i) in enumerate(self._network):
                row[self.network_start + slot] = self._divided(space.layers[layer][i])
            self.parameters.append(row)
        # Per layer and place, and per network-wide parameter: how many values count as one.
        self._widths = [
            np.array([self._width(space.layers[layer][i]) for i, _ in places], dtype=np.int64)
            for layer, places in zip(layers, self.places, strict=True)
        ]
        self._network_widths = np.array(
            [self._width(space.layers[layer][i]) for layer, i in self._network], dtype=np.int64
        )

    def own_rows(self, at: int, choices: Sequence[Choice]) -> NDArray[np.int64]:
        """Choices of one layer as its own slots; -1 where it has no parameter."""
        rows = np.full((len(choices), self.own), -1, dtype=np.int64)
        places = np.array(self.places[at])
        rows[:, places[:, 1]] = np.array(choices)[:, places[:, 0]] // self._widths[at]
        return rows

    def network_row(self, point: Point) -> NDArray[np.int64]:
        """The network-wide parameters of a point."""
        values = np.array([point[layer][i] for layer, i in self._network], dtype=np.int64)
        return values // self._network_widths

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

    def _width(self, parameter: Parameter) -> int:
        if parameter.ordered and parameter.size > self._most_values:
            return -(-parameter.size // self._parts)
        return 1

    def _divided(self, parameter: Parameter) -> Parameter:
        width = self._width(parameter)
        if width == 1:
            return parameter
        return Parameter(parameter.name, IntDistribution(0, (parameter.size - 1) // width))


def _most_values(space: LayeredSpace, settings: LayerProfileSettings) -> int:
    """The number of values of an ordered parameter from which on it is divided into parts."""
    unlike = {
        (parameter.short_name, parameter.size)
        for layer in space.layers
        for parameter in layer
        if parameter.ordered and settings.grid + 1 < parameter.size <= settings.most_values
    }
    too_many = sum(size for _, size in unlike) > settings.most_unlike
    return settings.grid + 1 if too_many else settings.most_values
