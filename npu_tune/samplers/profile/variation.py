"""Variations of a point in many of its runs of layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.layers import Choice, LayeredSpace, Point
from npu_tune.samplers.profile.profiles import Run
from npu_tune.samplers.profile.segments import Segments
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.steps import change, nudge_choice, replace_value


@dataclass
class Variation:
    """Changes of the choices of some layers.

    Profiles say of every run what it cost, so a trial tells of many changes which were good.

    Args:
        space: of the study.
        layers: by place.
        segments: of the trials.
        random: a generator.
        point: what is varied.
        settings: of the sampler.
    """

    space: LayeredSpace
    layers: Sequence[int]
    segments: Segments
    random: np.random.Generator
    point: Point
    settings: LayerProfileSettings

    def __post_init__(self) -> None:
        self._changes: dict[int, Choice] = {}

    def vary(self, runs: Sequence[Run], share: float) -> Point:
        """Changes a share of the point's runs."""
        joining, kinds = self.segments.joining(), self.settings.kinds
        merged_to = -1
        for number, (first, last) in enumerate(runs):
            if first <= merged_to or self.random.random() >= share:
                continue
            is_last = number + 1 == len(runs)
            if joining and not is_last and self.random.random() < self.settings.merge_share:
                merged_to = runs[number + 1][1]
                self._merge(first, merged_to, *joining)
                continue
            kind = int(self.random.choice(len(kinds), p=kinds))
            if kind == 0:
                self._nudge(self._any(first, last))
            elif kind == 1:
                place = self._any(first, last)
                self._nudge(place)
                self._nudge(min(place + int(self.random.integers(2)), len(self.layers) - 1))
            elif kind == 2:
                self._along(self._any(max(first - 1, 0), last))
            else:
                self._take_over(runs[int(self.random.integers(len(runs)))], first)
        return change(self.point, self._changes)

    def _choice(self, place: int) -> Choice:
        layer = self.layers[place]
        return self._changes.get(layer, self.point[layer])

    def _any(self, first: int, last: int) -> int:
        return int(self.random.integers(first, last + 1))

    def _nudge(self, place: int) -> None:
        """Changes one parameter of a layer."""
        layer = self.layers[place]
        parameters = self.space.layers[layer]
        self._changes[layer] = nudge_choice(
            self.random, parameters, self._choice(place), self.settings.steps
        )

    def _along(self, first: int) -> None:
        """Sets one parameter of some layers from ``first`` on to the same or a similar value."""
        parameters = [p for p in self.space.layers[self.layers[first]] if p.size > 1]
        parameter = parameters[int(self.random.integers(len(parameters)))]
        share = (int(self.random.integers(parameter.size)) + 0.5) / parameter.size
        width = 1 + int(self.random.geometric(self.settings.along_decay))
        for place in range(first, min(first + width, len(self.layers))):
            self._set(place, parameter.short_name, share)

    def _set(self, place: int, name: str, share: float) -> None:
        layer = self.layers[place]
        for at, parameter in enumerate(self.space.layers[layer]):
            if parameter.short_name == name and parameter.size > 1:
                value = int(share * parameter.size)
                self._changes[layer] = replace_value(self._choice(place), at, value)

    def _take_over(self, source: Run, first: int) -> None:
        """Copies choices of a run to layers from ``first`` on, where they have the same values."""
        length = min(source[1] - source[0] + 1, len(self.layers) - first)
        for step in range(length):
            there = self.layers[source[0] + step]
            given = {
                (parameter.short_name, parameter.size): index
                for parameter, index in zip(
                    self.space.layers[there], self.point[there], strict=True
                )
            }
            layer = self.layers[first + step]
            self._changes[layer] = tuple(
                given.get((parameter.short_name, parameter.size), index)
                for parameter, index in zip(
                    self.space.layers[layer], self._choice(first + step), strict=True
                )
            )

    def _merge(self, first: int, last: int, name: str, value: object) -> None:
        """Gives all layers what may let them run together: one of them alone is no gain."""
        for place in range(first, last + 1):
            layer = self.layers[place]
            choice = self._choice(place)
            sociable = self.segments.sociable(place)
            if sociable and self.random.random() < self.settings.sociable_share:
                choice = sociable[int(self.random.integers(len(sociable)))]
            for at, parameter in enumerate(self.space.layers[layer]):
                if place < last and parameter.short_name == name and not parameter.ordered:
                    index = parameter.index_of(value)
                    choice = choice if index is None else replace_value(choice, at, index)
            self._changes[layer] = choice
        if self.random.random() < self.settings.alike_share:
            self._make_alike(range(first, last + 1), name)

    def _make_alike(self, places: range, but: str) -> None:
        names = [
            parameter.short_name
            for place in places
            for parameter in self.space.layers[self.layers[place]]
            if parameter.size > 1 and parameter.short_name != but
        ]
        if not names:
            return
        name = names[int(self.random.integers(len(names)))]
        least = self.random.random() < self.settings.first_value_share
        for place in places:
            self._set(place, name, 0.0 if least else float(self.random.random()))
