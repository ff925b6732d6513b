"""Choices of layers: the values of their knobs, and what changes of them make of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value

Choice: TypeAlias = tuple[Value, ...]
"""Of a layer: the values of its knobs, in order."""

Kind: TypeAlias = frozenset[tuple[str, Value]]
"""Of a change of a layer: names and new values of the knobs that change."""


@dataclass(frozen=True)
class ChoiceChange:
    """Another choice of one layer.

    Args:
        expected: what it adds to the cost, as far as that is known.
        place: of the layer.
        choice: of it.
    """

    expected: float
    place: int
    choice: Choice


class ChoiceReader:
    """Reads configurations as choices of layers, and makes them of such.

    Args:
        space: of the search.

    Attributes:
        layers: those with knobs, in order; a place is an index of them.
        knobs: per place, those of the layer.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.layers = tuple(layer for layer in space.layers if layer != NETWORK_SCOPE)
        places = {layer: place for place, layer in enumerate(self.layers)}
        self.knobs: tuple[list[Knob], ...] = tuple([] for _ in self.layers)
        self._network: list[Knob] = []
        for knob in space.knobs:
            place = places.get(knob.layer)
            (self._network if place is None else self.knobs[place]).append(knob)

    def of(self, configuration: Configuration) -> tuple[Choice, ...]:
        """By place."""
        return tuple(_values(knobs, configuration) for knobs in self.knobs)

    def of_network(self, configuration: Configuration) -> Choice:
        """What is chosen for the whole network."""
        return _values(self._network, configuration)

    def kind(self, place: int, before: Choice, after: Choice) -> Kind:
        """Of a change of the layer at a place."""
        return frozenset(
            (knob.name, new)
            for knob, old, new in zip(self.knobs[place], before, after, strict=True)
            if old != new
        )

    def change(self, base: Configuration, changes: Sequence[ChoiceChange]) -> Configuration:
        """The configuration with some changes, as it is compiled."""
        values = {
            knob.full_name: value
            for each in changes
            for knob, value in zip(self.knobs[each.place], each.choice, strict=True)
        }
        return self._space.effective(base.replace(values))


def _values(knobs: Sequence[Knob], configuration: Configuration) -> Choice:
    return tuple(configuration[knob.full_name] for knob in knobs)
