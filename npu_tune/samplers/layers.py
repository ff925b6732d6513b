"""A search space as layers of choices, and configurations as points in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

NETWORK_SCOPE = "network"
"""The reserved group of the network-wide parameters, ``network/...``; visited first by default."""

NO_LAYER = ""
"""The reserved group of the parameters whose name has no layer part; visited before all others."""

Choice: TypeAlias = tuple[int, ...]
"""An index into the values of each parameter of one layer."""

Point: TypeAlias = tuple[Choice, ...]
"""A choice per layer: a whole configuration."""


def layer_of(name: str) -> str:
    """The layer of a parameter, by its name: what precedes the last ``/``.

    :data:`NETWORK_SCOPE` and :data:`NO_LAYER` are no layers but stand for the whole network.
    """
    return name.rpartition("/")[0]


def is_reserved(layer: str) -> bool:
    """Whether the name of a group is no layer's but stands for the whole network."""
    return layer in (NO_LAYER, NETWORK_SCOPE)


_LISTED_VALUES = 1024


@dataclass(frozen=True)
class Parameter:
    """A discrete parameter with its values indexed from 0.

    Args:
        name: in Optuna.
        distribution: its own.
    """

    name: str
    distribution: IntDistribution | CategoricalDistribution

    @cached_property
    def size(self) -> int:
        if isinstance(self.distribution, CategoricalDistribution):
            return len(self.distribution.choices)
        return (self.distribution.high - self.distribution.low) // self.distribution.step + 1

    @cached_property
    def ordered(self) -> bool:
        return isinstance(self.distribution, IntDistribution)

    @property
    def short_name(self) -> str:
        """The part after the layer; the same parameter of other layers has the same one."""
        return self.name.rpartition("/")[2]

    @cached_property
    def indices(self) -> dict[Any, int]:
        """The index of each value, of as many as one may want to list."""
        values = [self.value_of(index) for index in range(min(self.size, _LISTED_VALUES))]
        # Of equal values, such as 1 and True, the first one counts, as with Optuna.
        return {value: index for index, value in reversed(list(enumerate(values)))}

    def index_of(self, value: Any) -> int | None:
        """The index of a value; None where it is not one of this parameter's."""
        distribution: Any = self.distribution
        if not self.ordered:  # which is faster to tell than its class
            try:
                return int(distribution.to_internal_repr(value))
            except ValueError:
                return None
        index, rest = divmod(int(value) - distribution.low, distribution.step)
        return index if rest == 0 and 0 <= index < self.size else None

    def value_of(self, index: int) -> Any:
        if isinstance(self.distribution, CategoricalDistribution):
            return self.distribution.choices[index]
        return self.distribution.low + index * self.distribution.step


@dataclass(frozen=True, eq=False)
class ChoiceList:
    """Some choices of one layer.

    Args:
        as_tuples: the choices.
        are_all: whether the layer has no others.
    """

    as_tuples: Sequence[Choice]
    are_all: bool = False

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The choices as rows of a table; a column per parameter."""
        return np.array(self.as_tuples, dtype=np.int64)


@dataclass(frozen=True)
class LayeredSpace:
    """The parameters of a study by layer, in the order in which layers are visited.

    Args:
        names: of the layers.
        layers: the parameters of each.
    """

    names: tuple[str, ...]
    layers: tuple[tuple[Parameter, ...], ...]

    @classmethod
    def of(
        cls, distributions: Mapping[str, BaseDistribution], order: Sequence[str] | None
    ) -> LayeredSpace | None:
        """The space of the discrete parameters; None where no name has a layer part.

        Args:
            distributions: by parameter name; a layer is what precedes the last ``/``.
            order: names of layers to visit first, in this order; the others follow as they come.
        """
        discrete = [
            Parameter(name, distribution)
            for name, distribution in distributions.items()
            if isinstance(distribution, (IntDistribution, CategoricalDistribution))
        ]
        if not any("/" in parameter.name for parameter in discrete):
            return None
        groups: dict[str, list[Parameter]] = {}
        for parameter in discrete:
            groups.setdefault(layer_of(parameter.name), []).append(parameter)
        first = [NO_LAYER, NETWORK_SCOPE] if order is None else list(order)
        names = [name for name in first if name in groups]
        names += [name for name in groups if name not in names]
        return cls(tuple(names), tuple(tuple(groups[name]) for name in names))

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """By parameter name, in the order of the layers."""
        return {p.name: p.distribution for layer in self.layers for p in layer}

    @cached_property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """The number of values of each parameter of each layer."""
        return tuple(tuple(p.size for p in layer) for layer in self.layers)

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """The number of choices of each layer."""
        return tuple(math.prod(sizes) for sizes in self.sizes)

    @cached_property
    def _listed(self) -> dict[int, ChoiceList]:
        return {}

    def every_choice(self, layer: int) -> ChoiceList:
        """All choices of a layer that has few; the same object every time."""
        listed = self._listed
        if layer not in listed:
            product = itertools.product(*map(range, self.sizes[layer]))
            listed[layer] = ChoiceList(list(product), are_all=True)
        return listed[layer]

    @cached_property
    def varied(self) -> tuple[int, ...]:
        """The number of parameters with several values of each layer."""
        return tuple(sum(size > 1 for size in sizes) for sizes in self.sizes)

    @cached_property
    def movable(self) -> tuple[int, ...]:
        """The layers that have more than one choice."""
        return tuple(layer for layer, count in enumerate(self.choices) if count > 1)

    @cached_property
    def network_wide(self) -> tuple[tuple[int, int], ...]:
        """The parameters with several values that belong to no single layer: (layer, place)."""
        return tuple(
            (layer, place)
            for layer, name in enumerate(self.names)
            if is_reserved(name)
            for place, size in enumerate(self.sizes[layer])
            if size > 1
        )

    @cached_property
    def runs(self) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """By short name, where parameters that several layers have stand: (layer, place) pairs."""
        places: dict[str, list[tuple[int, int]]] = {}
        for layer, parameters in enumerate(self.layers):
            for place, parameter in enumerate(parameters):
                if parameter.size > 1:
                    places.setdefault(parameter.short_name, []).append((layer, place))
        return {name: tuple(found) for name, found in places.items() if len(found) > 1}

    @cached_property
    def _indices(self) -> tuple[tuple[tuple[str, dict[Any, int]], ...], ...]:
        """Per layer and parameter its name and the indices of its values."""
        return tuple(tuple((p.name, p.indices) for p in layer) for layer in self.layers)

    @cached_property
    def _shared(self) -> dict[Choice, Choice]:
        return {}

    def encode(self, params: Mapping[str, Any]) -> Point | None:
        """The point of a trial's parameters; None where one is missing or out of range.

        Points share the choices that they have in common.
        """
        point: list[Choice] = []
        shared = self._shared
        for layer, indices in zip(self.layers, self._indices, strict=True):
            try:
                chosen = tuple([known[params[name]] for name, known in indices])
            except (KeyError, TypeError):
                found = _unlisted(layer, params)
                if found is None:
                    return None
                chosen = found
            point.append(shared.setdefault(chosen, chosen))
        return tuple(point)

    def decode(self, point: Point) -> dict[str, Any]:
        """The parameters of a point."""
        return {
            parameter.name: parameter.value_of(index)
            for layer, choice in zip(self.layers, point, strict=True)
            for parameter, index in zip(layer, choice, strict=True)
        }


def _unlisted(layer: Sequence[Parameter], params: Mapping[str, Any]) -> Choice | None:
    """The choice of a layer with values that are not listed; None where one is none at all."""
    choice = []
    for parameter in layer:
        index = parameter.index_of(params[parameter.name]) if parameter.name in params else None
        if index is None:
            return None
        choice.append(index)
    return tuple(choice)
