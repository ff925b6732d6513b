"""Which layer is next, and when to move several at once: the course of the layer-wise search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers import moves
from npu_tune.samplers.layers import Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.steps import random_point

_CHOICES_PER_PARAMETER = 2
"""How many choices a layer gets in a sweep per parameter with several values, by default."""

_SEVERAL_LAYERS = (
    (moves.run, 0.15),
    (moves.pair, 0.05),
    (moves.compose, 0.05),
    (moves.cross, 0.05),
)
"""Moves of several layers at once, and the share of the trials after the first sweep each gets."""

_PATIENCE = 1.3
"""By how much that share has grown when a whole sweep has brought no gain."""

_ATTEMPTS = 20
"""How often a move that ends in a known point is repeated with more layers."""


@dataclass(frozen=True)
class Plan:
    """The course of a search.

    Args:
        candidates_per_layer: tried at a layer in each sweep; None for two per parameter.
        sweeps: after so many, only moves of several layers are made; None for no limit.
    """

    candidates_per_layer: int | None = None
    sweeps: int | None = None

    def propose(self, search: Search) -> Point:
        """An untried point, or a random one where none is found nearby."""
        for proposal in self._proposals(search):
            if proposal is not None and search.is_new(proposal):
                return proposal
        return random_point(search.random, search.history.space)

    def _proposals(self, search: Search) -> Iterator[Point | None]:
        layers, sweep = self._next_layers(search)
        # The longer single layers bring nothing, the more often several are moved at once.
        draw = search.random.random() / (1.0 + _PATIENCE * self._stalled(search, layers))
        for move, share in _SEVERAL_LAYERS if sweep > 0 else _SEVERAL_LAYERS[:1]:
            if draw < share:
                yield move(search, search.kept())
                break
            draw -= share
        if self.sweeps is None or sweep < self.sweeps:
            point = search.kept()
            for layer in layers:
                yield moves.visit(search, point, layer)
        for attempt in range(_ATTEMPTS):
            yield moves.scatter(search, search.kept(), 2 + attempt // 4)

    def _stalled(self, search: Search, layers: Sequence[int]) -> float:
        """For how many sweeps' worth of trials the best score has stood still; at most one."""
        worth = sum(self._share(search, layer) for layer in layers)
        return min(search.trials_since_best / worth, 1.0) if worth else 0.0

    def _next_layers(self, search: Search) -> tuple[list[int], int]:
        """Layers in the order in which they are due, and the number of the present sweep."""
        space = search.history.space
        movable = space.movable
        if not movable:
            return [], 0
        spreads = moves.spreads(search)[list(movable)]
        mean = float(spreads.mean()) or 1.0
        # In later sweeps a layer that matters more gets more.
        weights = np.clip(spreads / mean, 0.3, 3.0) if spreads.any() else np.ones(len(movable))
        done = [
            self._sweeps_done(search, layer, weight)
            for layer, weight in zip(movable, weights, strict=True)
        ]
        sweep = int(min(done))
        due = [layer for layer, swept in zip(movable, done, strict=True) if swept < sweep + 1]
        rest = [layer for layer in movable if layer not in due]
        return due + rest, sweep

    def _sweeps_done(self, search: Search, layer: int, weight: float) -> float:
        share = self._share(search, layer)
        tried = search.history.tried(layer)
        first = min(share, search.history.space.choices[layer] - 1)
        if tried < first:
            return tried / first
        return 1.0 + (tried - first) / (share * weight)

    def _share(self, search: Search, layer: int) -> int:
        """How many choices of a layer one sweep tries."""
        sizes = search.history.space.sizes[layer]
        return self.candidates_per_layer or _CHOICES_PER_PARAMETER * sum(s > 1 for s in sizes)
