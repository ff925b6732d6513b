"""The moves of the layer-wise search, from one point to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.effects import Effects
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Choice, ChoiceList, Parameter, Point
from npu_tune.samplers.profile.lessons import Lessons
from npu_tune.samplers.promise import EffectBook
from npu_tune.samplers.ranking import View
from npu_tune.samplers.settings import LayerwiseSettings
from npu_tune.samplers.steps import (
    align_layers,
    change,
    random_choices,
    replace_value,
    scatter_layers,
)


@dataclass(frozen=True)
class Search:
    """What a proposal is made from.

    Args:
        history: the trials so far.
        view: their scores and the beam.
        random: a generator made from the seed and the trial's number.
        settings: of the moves.
        observed: effects of single layers.
        lessons: from profiles; None where trials have none.
    """

    history: History
    view: View
    random: np.random.Generator
    settings: LayerwiseSettings
    observed: EffectBook
    lessons: Lessons | None = None

    @property
    def best(self) -> Point:
        return self.history.points[self.view.beam[0]]

    @property
    def trials_since_best(self) -> int:
        """Number of trials later than the first one with the best score."""
        scores, numbers = self.view.scores, self.history.number_column
        reached = numbers[scores <= scores[self.view.beam[0]]]
        return int((numbers > reached.min()).sum())

    def kept(self) -> Point:
        """Draws one of the kept solutions, better ones more often."""
        rank = min(
            int(self.random.geometric(self.settings.rank_decay)) - 1, len(self.view.beam) - 1
        )
        return self.history.points[self.view.beam[rank]]

    def effects(self, point: Point, layer: int) -> Effects:
        return self.observed.effects(self.view.scores, layer, point[layer])

    def is_new(self, point: Point) -> bool:
        return point not in self.history.taken


def visit(search: Search, point: Point, layer: int) -> Point | None:
    """Changes one layer to its most promising untried choice; None where all are tried."""
    effects = search.effects(point, layer)
    candidates = candidates_of(search, point[layer], layer, effects)
    before, after, taken = point[:layer], point[layer + 1 :], search.history.taken
    # Where many trials run, nearly all candidates may be taken.
    for choice in _by_promise(search, effects, candidates, layer, point[layer]):
        proposal = (*before, choice, *after)
        if proposal not in taken:
            return proposal
    return None


def pair(search: Search, point: Point) -> Point | None:
    """Changes two layers together, each to one of its more promising choices.

    Mostly they are neighbours, which share a tensor; a peak may as well be held by two that are
    far apart.
    """
    movable, settings = search.history.space.movable, search.settings
    if len(movable) < 2:
        return None
    first = int(search.random.integers(len(movable)))
    apart = min(int(search.random.geometric(settings.pair_distance_decay)), len(movable) - 1)
    changes = {}
    for layer in (movable[first], movable[(first + apart) % len(movable)]):
        effects = search.effects(point, layer)
        candidates = candidates_of(search, point[layer], layer, effects)
        ranked = list(_by_promise(search, effects, candidates, layer, point[layer]))
        rank = min(int(search.random.geometric(settings.pair_rank_decay)) - 1, len(ranked) - 1)
        changes[layer] = ranked[rank]
    return change(point, changes)


def run(search: Search, point: Point) -> Point | None:
    """Sets one parameter of several neighbouring layers to the same or a similar value."""
    return align_layers(search.random, search.history.space, point, search.settings.steps)


def compose(search: Search, point: Point) -> Point | None:
    """Makes several changes at once that each were a gain elsewhere."""
    movable = search.history.space.movable
    count = min(len(movable), search.settings.composed_layers)
    gains: list[tuple[float, int, Choice]] = []
    for layer in search.random.choice(movable, size=count, replace=False) if count else ():
        effects = search.effects(point, int(layer))
        best = int(np.argmin(effects.gains))
        if effects.gains[best] < 0:
            choice = tuple(int(i) for i in effects.choices[best])
            gains.append((float(effects.gains[best]), int(layer), choice))
    return change(point, {layer: choice for _, layer, choice in gains}) if gains else None


def cross(search: Search, point: Point) -> Point | None:
    """Takes over a stretch of layers from another of the better trials."""
    order = np.argsort(search.view.scores, kind="stable")
    completed = int(np.isfinite(search.view.scores).sum())
    among = min(completed, search.settings.crossed_trials)
    other = search.history.points[int(order[search.random.integers(among)])]
    different = [layer for layer, choice in enumerate(point) if other[layer] != choice]
    if len(different) < 2:
        return None
    length = 1 + int(search.random.integers(len(different) - 1))
    start = int(search.random.integers(len(different) - length + 1))
    return change(point, {layer: other[layer] for layer in different[start : start + length]})


def scatter(search: Search, point: Point, count: int) -> Point:
    """Draws ``count`` layers anew."""
    return scatter_layers(search.random, search.history.space, point, count)


def candidates_of(search: Search, present: Choice, layer: int, effects: Effects) -> ChoiceList:
    """Lists choices of a layer to consider: all of a small one, a spread-out subset of a large one.

    The subset has every single change (of long ordered parameters a spread-out part with the
    neighbours of the present value and of what was a gain), then seeded combinations.
    """
    space, settings = search.history.space, search.settings
    parameters = space.layers[layer]
    if space.choices[layer] <= settings.all_choices:
        return space.every_choice(layer)
    good = [tuple(int(i) for i in effects.choices[i]) for i in np.argsort(effects.gains)[:3]]
    found = dict.fromkeys(good)
    for centre in dict.fromkeys((present, *good)):
        for place, parameter in enumerate(parameters):
            values = _pick_values(search, parameter, centre[place])
            found |= dict.fromkeys(replace_value(centre, place, value) for value in values)
    found |= dict.fromkeys(random_choices(search.random, parameters, settings.combinations))
    return ChoiceList(list(found))


def _pick_values(search: Search, parameter: Parameter, present: int) -> list[int]:
    """Picks values of a parameter: all of a short one, of a long one near and spread-out ones."""
    count = search.settings.spread_values
    if not parameter.ordered or parameter.size <= count:
        return list(range(min(parameter.size, search.settings.all_choices)))
    near = {present + step for step in (-3, -2, -1, 1, 2, 3)}
    offset = search.random.random()
    spread = {int((k + offset) * parameter.size / count) for k in range(count)}
    return sorted(value for value in near | spread if 0 <= value < parameter.size)


def _by_promise(
    search: Search,
    effects: Effects,
    candidates: ChoiceList,
    layer: int,
    present: Choice,
) -> Iterator[Choice]:
    """Orders candidates by the lower confidence bound of their effect; leaves out the present."""
    promise = search.observed.promise(effects, candidates, layer, present, search.lessons)
    return promise.ordered(search.random)


def spreads(search: Search) -> Floats:
    """Per layer the standard deviation of the score over its choices; shares out later sweeps."""
    return search.history.spreads(search.view.scores)
