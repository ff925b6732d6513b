"""Random changes of points, with nothing known but the space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npu_tune.samplers.layers import Choice, LayeredSpace, Parameter, Point
from npu_tune.samplers.settings import StepSettings


def change(point: Point, changes: dict[int, Choice]) -> Point:
    """Replaces the choices of some layers."""
    choices = list(point)
    for layer, choice in changes.items():
        choices[layer] = choice
    return tuple(choices)


def replace_value(choice: Choice, place: int, value: int) -> Choice:
    """Replaces the value of one parameter in a choice."""
    return (*choice[:place], value, *choice[place + 1 :])


def random_choices(
    random: np.random.Generator, parameters: Sequence[Parameter], count: int
) -> list[Choice]:
    """Draws choices of one layer uniformly."""
    sizes = np.array([parameter.size for parameter in parameters])
    drawn = random.integers(np.broadcast_to(sizes, (count, len(sizes))))
    return [tuple(row) for row in drawn.tolist()]


def random_choice(random: np.random.Generator, parameters: Sequence[Parameter]) -> Choice:
    """Draws a choice of one layer uniformly."""
    return random_choices(random, parameters, 1)[0]


def random_point(random: np.random.Generator, space: LayeredSpace) -> Point:
    """Draws a point uniformly."""
    return tuple(random_choice(random, layer) for layer in space.layers)


def scatter_layers(
    random: np.random.Generator, space: LayeredSpace, point: Point, count: int
) -> Point:
    """Draws ``count`` layers anew."""
    movable = space.movable
    chosen = random.choice(movable, size=min(count, len(movable)), replace=False)
    return change(
        point, {int(layer): random_choice(random, space.layers[int(layer)]) for layer in chosen}
    )


def revert_some(
    random: np.random.Generator,
    space: LayeredSpace,
    point: Point,
    default: Point,
    kinds: Sequence[float],
) -> Point:
    """Takes changes of a point back: one, all of one layer, or some of one name.

    Args:
        random: a generator.
        space: of the study.
        point: that has them.
        default: without changes.
        kinds: probabilities of these three.
    """
    changed = [
        (layer, at)
        for layer, choice in enumerate(point)
        for at, value in enumerate(choice)
        if value != default[layer][at]
    ]
    if not changed:
        return point
    drawn = changed[int(random.integers(len(changed)))]
    kind, share = int(random.choice(len(kinds), p=kinds)), random.random()
    name = space.layers[drawn[0]][drawn[1]].short_name

    def is_chosen(layer: int, at: int) -> bool:
        if kind == 1:
            return layer == drawn[0]
        is_alike = kind == 2 and space.layers[layer][at].short_name == name
        return is_alike and random.random() < share

    choices = list(point)
    for layer, at in changed:
        if (layer, at) == drawn or is_chosen(layer, at):
            choices[layer] = replace_value(choices[layer], at, default[layer][at])
    return tuple(choices)


def align_layers(
    random: np.random.Generator, space: LayeredSpace, point: Point, settings: StepSettings
) -> Point | None:
    """Sets one parameter of several neighbouring layers to the same or a similar value.

    Returns:
        The new point; None where no two layers have a parameter of the same name.
    """
    if not space.runs:
        return None
    places = space.runs[sorted(space.runs)[int(random.integers(len(space.runs)))]]
    length = len(places)
    if random.random() > settings.whole_run_share:
        length = min(1 + int(random.geometric(settings.run_decay)), length)
    start = int(random.integers(len(places) - length + 1))
    share = random.random()
    changes: dict[int, Choice] = {}
    for layer, place in places[start : start + length]:
        size = space.sizes[layer][place]
        changes[layer] = replace_value(point[layer], place, int(share * size))
    return change(point, changes)


def nudge(
    random: np.random.Generator,
    space: LayeredSpace,
    point: Point,
    settings: StepSettings,
    *,
    times: int = 1,
) -> Point:
    """Moves one parameter of one layer, an ordered one mostly to a value nearby; ``times`` times."""
    for _ in range(times):
        layer = int(random.choice(space.movable))
        choice = nudge_choice(random, space.layers[layer], point[layer], settings)
        point = change(point, {layer: choice})
    return point


def nudge_choice(
    random: np.random.Generator,
    parameters: Sequence[Parameter],
    choice: Choice,
    settings: StepSettings,
) -> Choice:
    """Moves one parameter of a layer, an ordered one mostly to a value nearby."""
    places = [place for place, parameter in enumerate(parameters) if parameter.size > 1]
    place = places[int(random.integers(len(places)))]
    return replace_value(
        choice, place, _other_index(random, parameters[place], choice[place], settings)
    )


def redraw_layer(random: np.random.Generator, space: LayeredSpace, point: Point) -> Point:
    """Draws all parameters of one layer anew."""
    layer = int(random.choice(space.movable))
    return change(point, {layer: random_choice(random, space.layers[layer])})


def any_other(random: np.random.Generator, size: int, present: int) -> int:
    """Draws one of ``size`` values uniformly, other than the present one."""
    other = int(random.integers(size - 1))
    return other + (other >= present)


def _other_index(
    random: np.random.Generator, parameter: Parameter, present: int, settings: StepSettings
) -> int:
    if parameter.ordered and random.random() < settings.neighbour_share:
        step = int(random.geometric(settings.nearness)) * (1 if random.random() < 0.5 else -1)
        if not 0 <= present + step < parameter.size:
            step = -step
        if 0 <= present + step < parameter.size:
            return present + step
    return any_other(random, parameter.size, present)
