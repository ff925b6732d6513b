"""The course of the layer-wise search: which layer is next, and when to move several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers import moves
from npu_tune.samplers.layers import Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.settings import LayerwiseSettings
from npu_tune.samplers.steps import random_point


@dataclass(frozen=True)
class SweepPlan:
    """The course of a search.

    Args:
        candidates_per_layer: tried at a layer in each sweep; None for
            ``choices_per_parameter`` of the search's settings.
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
        patience = search.settings.patience
        # The longer single layers bring nothing, the more often several are moved at once.
        draw = search.random.random() / (1.0 + patience * self._stalled(search, layers))
        several = _moves_of_several(search.settings)
        for move, share in several if sweep > 0 else several[:1]:
            if draw < share:
                yield move(search, search.kept())
                break
            draw -= share
        if self.sweeps is None or sweep < self.sweeps:
            point = search.kept()
            for layer in layers:
                yield moves.visit(search, point, layer)
        for attempt in range(search.settings.scatter_attempts):
            yield moves.scatter(search, search.kept(), 2 + attempt // 4)

    def _stalled(self, search: Search, layers: Sequence[int]) -> float:
        """Trials without a gain as a share of a sweep's trials; at most 1."""
        worth = sum(self._share(search, layer) for layer in layers)
        return min(search.trials_since_best / worth, 1.0) if worth else 0.0

    def _next_layers(self, search: Search) -> tuple[list[int], int]:
        """Returns the layers in the order in which they are due, and the present sweep's number."""
        settings, movable = search.settings, search.history.space.movable
        if not movable:
            return [], 0
        spreads = moves.spreads(search)[list(movable)]
        mean = float(spreads.mean()) or 1.0
        # In later sweeps a layer that matters more gets more.
        weights = (
            np.clip(spreads / mean, settings.least_layer_weight, settings.most_layer_weight)
            if spreads.any()
            else np.ones(len(movable))
        )
        first = np.ones(len(movable))
        if search.lessons is not None:
            # So it gets in the first one, where profiles tell; and it comes first.
            importance = search.lessons.importance[list(movable)]
            order = np.argsort(-importance, kind="stable")
            movable, weights = tuple(movable[i] for i in order), weights[order]
            first = settings.first_share * np.clip(
                importance[order], settings.least_layer_weight, settings.most_layer_weight
            )
        done = [
            self._sweeps_done(search, *each)
            for each in zip(movable, first.tolist(), weights.tolist(), strict=True)
        ]
        sweep = int(min(done))
        due = [layer for layer, times in zip(movable, done, strict=True) if times < sweep + 1]
        rest = [layer for layer, times in zip(movable, done, strict=True) if times >= sweep + 1]
        return due + rest, sweep

    def _sweeps_done(
        self, search: Search, layer: int, first_weight: float, weight: float
    ) -> float:
        share = self._share(search, layer)
        tried = search.history.tried(layer)
        first = max(min(round(share * first_weight), search.history.space.choices[layer] - 1), 1)
        if tried < first:
            return tried / first
        return 1.0 + (tried - first) / (share * weight)

    def _share(self, search: Search, layer: int) -> int:
        """Number of choices of a layer that one sweep tries."""
        per_parameter = search.settings.choices_per_parameter
        return self.candidates_per_layer or per_parameter * search.history.space.varied[layer]


def _moves_of_several(
    settings: LayerwiseSettings,
) -> tuple[tuple[Callable[[Search, Point], Point | None], float], ...]:
    """Moves of several layers at once, each with its share of the trials after the first sweep."""
    return (
        (moves.run, settings.run_share),
        (moves.pair, settings.pair_share),
        (moves.compose, settings.compose_share),
        (moves.cross, settings.cross_share),
    )
