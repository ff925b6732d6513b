"""From one point to another with nothing known but the space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npu_tune.samplers.layers import Choice, LayeredSpace, Parameter, Point

_WHOLE_RUNS = 0.1
"""The share of runs that go through the whole network."""

_NEIGHBOURS = 0.7
"""How often an ordered parameter moves to a value nearby rather than to any."""

_NEAREST = 0.7
"""How often that is the very next one; farther ones the less often the farther they are."""


def change(point: Point, changes: dict[int, Choice]) -> Point:
    """The point with other choices at some layers."""
    return tuple(changes.get(layer, choice) for layer, choice in enumerate(point))


def replaced(choice: Choice, place: int, value: int) -> Choice:
    """The choice with another value of one parameter."""
    return (*choice[:place], value, *choice[place + 1 :])


def random_choice(random: np.random.Generator, parameters: Sequence[Parameter]) -> Choice:
    """A choice of one layer, uniformly."""
    return tuple(int(random.integers(parameter.size)) for parameter in parameters)


def random_point(random: np.random.Generator, space: LayeredSpace) -> Point:
    """A point, uniformly."""
    return tuple(random_choice(random, layer) for layer in space.layers)


def scattered(random: np.random.Generator, space: LayeredSpace, point: Point, count: int) -> Point:
    """A few layers changed at random."""
    movable = space.movable
    chosen = random.choice(movable, size=min(count, len(movable)), replace=False)
    return change(
        point, {int(layer): random_choice(random, space.layers[int(layer)]) for layer in chosen}
    )


def same_along(random: np.random.Generator, space: LayeredSpace, point: Point) -> Point | None:
    """The same parameter of several neighbouring layers set to the same or a similar value.

    None where no two layers have a parameter of the same name.
    """
    if not space.runs:
        return None
    places = space.runs[sorted(space.runs)[int(random.integers(len(space.runs)))]]
    length = len(places)
    if random.random() > _WHOLE_RUNS:
        length = min(1 + int(random.geometric(0.35)), length)
    start = int(random.integers(len(places) - length + 1))
    share = random.random()
    changes: dict[int, Choice] = {}
    for layer, place in places[start : start + length]:
        size = space.sizes[layer][place]
        changes[layer] = replaced(point[layer], place, int(share * size))
    return change(point, changes)


def nudged(
    random: np.random.Generator, space: LayeredSpace, point: Point, times: int = 1
) -> Point:
    """One parameter of one layer moved, an ordered one mostly to a neighbour; maybe more often."""
    for _ in range(times):
        layer = int(random.choice(space.movable))
        point = change(point, {layer: nudged_choice(random, space.layers[layer], point[layer])})
    return point


def nudged_choice(
    random: np.random.Generator, parameters: Sequence[Parameter], choice: Choice
) -> Choice:
    """One parameter of a layer moved, an ordered one mostly to a neighbour."""
    places = [place for place, parameter in enumerate(parameters) if parameter.size > 1]
    place = places[int(random.integers(len(places)))]
    return replaced(choice, place, _other_index(random, parameters[place], choice[place]))


def rechosen(random: np.random.Generator, space: LayeredSpace, point: Point) -> Point:
    """All parameters of one layer anew."""
    layer = int(random.choice(space.movable))
    return change(point, {layer: random_choice(random, space.layers[layer])})


def any_other(random: np.random.Generator, size: int, present: int) -> int:
    """Another one of so many values, uniformly."""
    other = int(random.integers(size - 1))
    return other + (other >= present)


def _other_index(random: np.random.Generator, parameter: Parameter, present: int) -> int:
    if parameter.ordered and random.random() < _NEIGHBOURS:
        step = int(random.geometric(_NEAREST)) * (1 if random.random() < 0.5 else -1)
        if not 0 <= present + step < parameter.size:
            step = -step
        if 0 <= present + step < parameter.size:
            return present + step
    return any_other(random, parameter.size, present)
