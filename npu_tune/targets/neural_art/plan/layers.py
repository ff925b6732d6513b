"""The cheapest choices of each layer: by the number of accelerators, with weights here or there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from npu_tune.space import SearchSpace, Value
from npu_tune.targets.neural_art.compiler.choice import RESIDENT, STREAM, Choice
from npu_tune.targets.neural_art.compiler.grouping import Option
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.plan.estimate import Estimator

_TRIED = ("accelerators", "parallel_over", "stationarity", "weight_compression")
"""Knobs of which every combination is tried; cutting into parts seldom pays, and takes room."""

WEIGHTS = (STREAM, RESIDENT)


class LayerChoices:
    """The cheapest options of every operation of a network.

    Args:
        scheduler: for the network-wide choices at hand.
        space: gives the knobs of the layers.
        choices: of each operation where nothing is planned.
        estimator: of epochs.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        space: SearchSpace,
        choices: Sequence[Choice],
        estimator: Estimator,
    ) -> None:
        self._scheduler = scheduler
        self._estimator = estimator
        self._choices = choices
        self._knobs: dict[str, dict[str, tuple[Value, ...]]] = {}
        for knob in space.knobs:
            others = (value for value in knob.values if value != knob.default)
            self._knobs.setdefault(knob.layer, {})[knob.name] = (knob.default, *others)
        self._best = [self._cheapest(position) for position in range(len(choices))]

    def by_accelerators(self, position: int, weights: str) -> Mapping[int, Option]:
        """The cheapest option by the number of accelerators it takes, 0 for none.

        Args:
            position: of the operation.
            weights: ``stream`` or ``resident``.
        """
        return self._best[position][weights]

    def cheapest(self, position: int, weights: str) -> Option:
        """The cheapest option by itself."""
        options = self.by_accelerators(position, weights).values()
        return min(options, key=lambda option: self._estimator.cycles(option.alone))

    def usual(self, position: int) -> Choice:
        """The choice of an operation where nothing is planned."""
        return self._choices[position]

    def offers(self, position: int, name: str, value: Value) -> bool:
        """Tells whether a field of the choice may have a value."""
        values = self._offered(position).get(name)
        if values is None:
            return bool(getattr(self._choices[position], name) == value)
        return value in values

    def _offered(self, position: int) -> Mapping[str, tuple[Value, ...]]:
        return self._knobs.get(self._scheduler.graph.operations[position].name, {})

    def _cheapest(self, position: int) -> dict[str, dict[int, Option]]:
        knobs = self._offered(position)
        names = [name for name in _TRIED if name in knobs]
        usual = self._choices[position]._replace(chain=False, depth_first=False)
        found: dict[str, dict[int, tuple[float, Option]]] = {weights: {} for weights in WEIGHTS}
        for weights in WEIGHTS:
            own = weights if self.offers(position, "weights", weights) else usual.weights
            for values in product(*(knobs[name] for name in names)):
                named: dict[str, Any] = dict(zip(names, values, strict=True))
                option = self._scheduler.option(position, usual._replace(weights=own, **named))
                cycles = self._estimator.cycles(option.alone)
                units = option.demand.accelerators
                known = found[weights].get(units)
                # Of equal ones the first, which is the nearest to the default.
                if known is None or cycles < known[0]:
                    found[weights][units] = cycles, option
        return {
            weights: {units: option for units, (_, option) in own.items()}
            for weights, own in found.items()
        }
