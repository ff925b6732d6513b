"""How much the score varies over the choices of each layer, all else equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npu_tune.samplers.arrays import Floats, GrowingColumn


class AlikeGroups:
    """Groups of points that differ in one layer alone, as flat columns.

    Args:
        layers: how many there are.
    """

    def __init__(self, layers: int) -> None:
        self._layers = layers
        # Per member its point, its group, and its group's layer.
        self._points = GrowingColumn()
        self._groups = GrowingColumn()
        self._layer_of = GrowingColumn()
        self._numbers: dict[tuple[int, int], int] = {}

    def add(self, layer: int, others: int, members: Sequence[int]) -> None:
        """Adds points to a group.

        Args:
            layer: in which the points of the group differ.
            others: a hash of the choices of all other layers.
            members: the points by index.
        """
        number = self._numbers.setdefault((layer, others), len(self._numbers))
        for point in members:
            self._points.append(point)
            self._groups.append(number)
            self._layer_of.append(layer)

    def spreads(self, scores: Floats) -> Floats:
        """Per layer the standard deviation of the score over its choices.

        Args:
            scores: per point, infinite where it failed.
        """
        result: Floats = np.zeros(self._layers)
        member_scores = scores[self._points.array]
        usable = np.isfinite(member_scores)
        if not usable.any():
            return result
        groups, layers = self._groups.array[usable], self._layer_of.array[usable]
        member_scores = member_scores[usable]
        count = len(self._numbers)
        sizes = np.maximum(np.bincount(groups, minlength=count), 1)
        means = np.bincount(groups, member_scores, minlength=count) / sizes
        squares = np.bincount(layers, (member_scores - means[groups]) ** 2, len(result))
        counts = np.maximum(np.bincount(layers, minlength=len(result)), 1)
        return np.asarray(np.sqrt(squares / counts))
