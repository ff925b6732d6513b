"""From one point to the next: the moves of the layer-wise search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.effects import Effects, effects_of
from npu_tune.samplers.history import Floats, History
from npu_tune.samplers.layers import Choice, Parameter, Point
from npu_tune.samplers.ranking import View
from npu_tune.samplers.steps import change, random_choice, replaced, same_along, scattered

_ALL_CHOICES = 256
"""A layer with at most so many choices is considered whole, one with more by a subset."""

_SPREAD_VALUES = 24
"""How many values of a long ordered parameter are considered, beside the near ones."""

_COMBINATIONS = 48
"""How many seeded combinations of a large layer's parameters are considered at a time."""


@dataclass(frozen=True)
class Search:
    """What a proposal is made from.

    Args:
        history: the trials so far.
        view: their scores and the beam.
        random: a generator made from the seed and the trial's number.
    """

    history: History
    view: View
    random: np.random.Generator

    @property
    def best(self) -> Point:
        return self.history.points[self.view.beam[0]]

    @property
    def trials_since_best(self) -> int:
        """How many trials have been read since the best score was first seen."""
        scores, numbers = self.view.scores, np.array(self.history.numbers)
        reached = numbers[scores <= scores[self.view.beam[0]]]
        return int((numbers > reached.min()).sum())

    def kept(self) -> Point:
        """One of the kept solutions, the better the more often."""
        rank = min(int(self.random.geometric(0.6)) - 1, len(self.view.beam) - 1)
        return self.history.points[self.view.beam[rank]]

    def effects(self, point: Point, layer: int) -> Effects:
        return effects_of(self.history, self.view.scores, layer, point[layer])

    def is_new(self, point: Point) -> bool:
        return point not in self.history.taken


def visit(search: Search, point: Point, layer: int) -> Point | None:
    """The most promising untried choice of one layer; None where all are tried."""
    effects = search.effects(point, layer)
    candidates = candidates_of(search, point[layer], layer, effects)
    for choice in _by_promise(search.random, effects, candidates, point[layer]):
        proposal = change(point, {layer: choice})
        if search.is_new(proposal):
            return proposal
    return None


def pair(search: Search, point: Point) -> Point | None:
    """Two layers changed together, each to one of its more promising choices.

    Mostly they are neighbours, which share a tensor; a peak may as well be held by two that are
    far apart.
    """
    movable = search.history.space.movable
    if len(movable) < 2:
        return None
    first = int(search.random.integers(len(movable)))
    apart = min(int(search.random.geometric(0.6)), len(movable) - 1)
    changes = {}
    for layer in (movable[first], movable[(first + apart) % len(movable)]):
        effects = search.effects(point, layer)
        candidates = candidates_of(search, point[layer], layer, effects)
        ranked = list(_by_promise(search.random, effects, candidates, point[layer]))
        rank = min(int(search.random.geometric(0.3)) - 1, len(ranked) - 1)
        changes[layer] = ranked[rank]
    return change(point, changes)


def run(search: Search, point: Point) -> Point | None:
    """The same parameter of several neighbouring layers set to the same or a similar value."""
    return same_along(search.random, search.history.space, point)


def compose(search: Search, point: Point) -> Point | None:
    """Several changes at once that each were a gain elsewhere."""
    movable = search.history.space.movable
    count = min(len(movable), 12)
    gains: list[tuple[float, int, Choice]] = []
    for layer in search.random.choice(movable, size=count, replace=False) if count else ():
        effects = search.effects(point, int(layer))
        best = int(np.argmin(effects.gains))
        if effects.gains[best] < 0:
            choice = tuple(int(i) for i in effects.choices[best])
            gains.append((float(effects.gains[best]), int(layer), choice))
    return change(point, {layer: choice for _, layer, choice in gains}) if gains else None


def cross(search: Search, point: Point) -> Point | None:
    """A stretch of layers taken over from another of the better trials."""
    order = np.argsort(search.view.scores, kind="stable")
    completed = int(np.isfinite(search.view.scores).sum())
    other = search.history.points[int(order[search.random.integers(min(completed, 40))])]
    different = [layer for layer, choice in enumerate(point) if other[layer] != choice]
    if len(different) < 2:
        return None
    length = 1 + int(search.random.integers(len(different) - 1))
    start = int(search.random.integers(len(different) - length + 1))
    return change(point, {layer: other[layer] for layer in different[start : start + length]})


def scatter(search: Search, point: Point, count: int) -> Point:
    """A few layers changed at random."""
    return scattered(search.random, search.history.space, point, count)


def candidates_of(
    search: Search, present: Choice, layer: int, effects: Effects
) -> NDArray[np.int64]:
    """Choices of a layer to consider: all of a small one, a spread-out subset of a large one.

    The subset has every single change (of long ordered parameters a spread-out part with the
    neighbours of the present value and of what was a gain), then seeded combinations.
    """
    space = search.history.space
    parameters, sizes = space.layers[layer], space.sizes[layer]
    if space.choices[layer] <= _ALL_CHOICES:
        return np.indices(sizes).reshape(len(sizes), -1).T
    good = [tuple(int(i) for i in effects.choices[i]) for i in np.argsort(effects.gains)[:3]]
    found = dict.fromkeys(good)
    for centre in dict.fromkeys((present, *good)):
        for place, parameter in enumerate(parameters):
            values = _considered(search.random, parameter, centre[place])
            found |= dict.fromkeys(replaced(centre, place, value) for value in values)
    for _ in range(_COMBINATIONS):
        found[random_choice(search.random, parameters)] = None
    return np.array(list(found), dtype=np.int64)


def _considered(random: np.random.Generator, parameter: Parameter, present: int) -> list[int]:
    if not parameter.ordered or parameter.size <= _SPREAD_VALUES:
        return list(range(min(parameter.size, _ALL_CHOICES)))
    near = {present + step for step in (-3, -2, -1, 1, 2, 3)}
    offset = random.random()
    spread = {int((k + offset) * parameter.size / _SPREAD_VALUES) for k in range(_SPREAD_VALUES)}
    return sorted(value for value in near | spread if 0 <= value < parameter.size)


def _by_promise(
    random: np.random.Generator,
    effects: Effects,
    candidates: NDArray[np.int64],
    present: Choice,
) -> Iterator[Choice]:
    """Candidates by the lower confidence bound of their effect, without the present choice."""
    mean, uncertainty = effects.predict(candidates)
    changed = (candidates != np.array(present)).sum(axis=1)
    scale = effects.spread or 1.0
    # Single changes come first; what is equal otherwise is put in a seeded order.
    bound = mean - scale * uncertainty + 0.2 * scale * np.maximum(changed - 1, 0)
    bound = bound + 0.05 * scale * random.random(len(candidates))
    for index in np.argsort(bound, kind="stable"):
        if changed[index]:
            yield tuple(int(i) for i in candidates[index])


def spreads(search: Search) -> Floats:
    """Per layer how much it matters, for sharing out later sweeps."""
    return search.history.spreads(search.view.scores)
