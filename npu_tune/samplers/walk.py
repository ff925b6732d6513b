"""A configuration as a walk: a sequence of decisions, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from npu_tune.samplers.layers import LayeredSpace, Point


@dataclass(frozen=True)
class Decision:
    """One step of the walk.

    Args:
        layer: index of the layer that is decided upon.
        place: of the parameter in the layer; None where the whole choice is made at once.
        sizes: of the parameters decided together.
        share: of the layer's reward that it gets.
    """

    layer: int
    place: int | None
    sizes: tuple[int, ...]
    share: float

    @property
    def actions(self) -> int:
        count = 1
        for size in self.sizes:
            count *= size
        return count

    def action_of(self, point: Point) -> int:
        """The action that a point has taken here."""
        choice = point[self.layer]
        if self.place is not None:
            return choice[self.place]
        action = 0
        for index, size in zip(choice, self.sizes, strict=True):
            action = action * size + index
        return action

    def indices_of(self, action: int) -> tuple[int, ...]:
        """The indices of the parameters decided together."""
        indices = []
        for size in reversed(self.sizes):
            action, index = divmod(action, size)
            indices.append(index)
        return tuple(reversed(indices))


@dataclass(frozen=True)
class Walk:
    """The decisions of a space, in order.

    A layer with few choices is one decision; one with many is a decision per parameter, each
    with an equal part of the layer's reward.

    Args:
        space: of the study.
        choices_at_once: a layer with at most so many choices is one decision.
    """

    space: LayeredSpace
    choices_at_once: int

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        made: list[Decision] = []
        for layer in self.space.movable:
            sizes = self.space.sizes[layer]
            if self.space.choices[layer] <= self.choices_at_once:
                made.append(Decision(layer, None, sizes, 1.0))
                continue
            places = [place for place, size in enumerate(sizes) if size > 1]
            share = 1.0 / len(places)
            made += [Decision(layer, place, (sizes[place],), share) for place in places]
        return tuple(made)

    def actions_of(self, point: Point) -> list[int]:
        """The actions of a point, decision by decision."""
        return [decision.action_of(point) for decision in self.decisions]

    def point_of(self, actions: Sequence[int]) -> Point:
        """The point that actions lead to."""
        choices = [[0] * len(sizes) for sizes in self.space.sizes]
        for decision, action in zip(self.decisions, actions, strict=True):
            indices = decision.indices_of(action)
            first = decision.place or 0
            choices[decision.layer][first : first + len(indices)] = indices
        return tuple(map(tuple, choices))
