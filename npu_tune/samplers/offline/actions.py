"""The choices of each layer that are profiled and searched, by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.layers import Choice, Parameter, Point
from npu_tune.samplers.steps import change, replace_value

_NEARNESS = 4.0
"""Steps along the range of an ordered parameter over which values stop being alike."""


def planned_choices(
    parameters: Sequence[Parameter], first: Choice, *, most: int, positions: int
) -> list[Choice]:
    """Lists choices of a layer to profile: all of them, or single changes where these are many.

    Args:
        parameters: of the layer.
        first: the choice to begin with.
        most: number of choices up to which all are listed, and length of the list otherwise.
        positions: number of values, evenly spaced, of a parameter that is not listed whole.
    """
    sizes = [parameter.size for parameter in parameters]
    if int(np.prod(sizes, dtype=np.float64)) <= most:
        every = np.indices(sizes).reshape(len(sizes), -1).T
        listed = [tuple(int(i) for i in row) for row in every]
        return list(dict.fromkeys((first, *listed)))
    found = {first: None}
    for place, size in enumerate(sizes):
        spaced = np.linspace(0, size - 1, min(size, positions))
        found |= {replace_value(first, place, round(float(value))): None for value in spaced}
    return list(found)[:most]


def profiling_points(
    layers: Sequence[int],
    start: Point,
    choices: Sequence[Sequence[Choice]],
    order: Sequence[int],
) -> Iterator[Point]:
    """Yields points whose profiles tell of every choice, and of neighbours that choose otherwise.

    First all layers take their k-th choice; then every other layer does, and after these those
    between, so that each choice is seen before, behind and between the first one.

    Args:
        layers: whose choices are profiled, in the order in which they are neighbours.
        start: the point whose choices are first; also what all else is taken from.
        choices: per layer, the first one in front.
        order: the numbers of the other choices, as they come.
    """

    def point(number: int, places: range) -> Point:
        return change(start, {layers[p]: choices[p][number % len(choices[p])] for p in places})

    for number in (0, *order):
        yield point(number, range(len(layers)))
    for number in order:
        yield point(number, range(0, len(layers), 2))
        yield point(number, range(1, len(layers), 2))


class ActionNumbers:
    """Numbers the choices of one layer in the order in which they were observed.

    Args:
        parameters: of the layer.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._numbers: dict[Choice, int] = {}
        self.choices: list[Choice] = []

    def __len__(self) -> int:
        return len(self.choices)

    def number(self, choice: Choice) -> int:
        """The number of a choice; a new one where it was not there."""
        known = self._numbers.setdefault(choice, len(self.choices))
        if known == len(self.choices):
            self.choices.append(choice)
        return known

    def likeness(self) -> Floats:
        """How alike choices are, from 0 to 1; of shape (choices, choices).

        The mean over the parameters: 1 for equal values, 0 for unequal ones of an unordered
        parameter, and falling with the distance along an ordered one.
        """
        table = np.array(self.choices)
        result: Floats = np.zeros((len(table), len(table)))
        places = [i for i, p in enumerate(self._parameters) if p.size > 1]
        for place in places:
            apart = np.abs(table[:, None, place] - table[None, :, place])
            parameter = self._parameters[place]
            if parameter.ordered:
                result += np.exp(-_NEARNESS * apart / (parameter.size - 1))
            else:
                result += apart == 0
        return result / len(places)

    def labels(self) -> list[tuple[tuple[str, object], ...]]:
        """Per choice what it is called in every layer that has it: parameters and values."""
        return [
            tuple(
                (p.short_name, p.value_of(index))
                for p, index in zip(self._parameters, choice, strict=True)
            )
            for choice in self.choices
        ]
