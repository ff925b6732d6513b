"""One parameter set alike in all layers, so that one trial tells what that does to each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from npu_tune.samplers.layers import NETWORK_LAYER, LayeredSpace, Parameter, Point
from npu_tune.samplers.steps import replaced

_POSITIONS = 4
"""At so many places of its range, evenly spaced, a parameter with more values is set."""

Sweep: TypeAlias = Mapping[tuple[int, int], int]
"""By layer and parameter (their indices in the space), the index of its value."""


def sweeps_of(space: LayeredSpace) -> tuple[Sweep, ...]:
    """For every parameter that layers have by the same name, one sweep for each of its values.

    Those of parameters with few values come first: a switch is soon known.

    Args:
        space: of the study; the network's own parameters are left out.
    """
    found: dict[tuple[str, object], dict[tuple[int, int], int]] = defaultdict(dict)
    sizes: dict[str, int] = {}
    for layer, parameters in enumerate(space.layers):
        if space.names[layer] == NETWORK_LAYER:
            continue
        for at, parameter in enumerate(parameters):
            if parameter.size < 2:
                continue
            name = parameter.short_name
            sizes[name] = min(sizes.get(name, parameter.size), parameter.size)
            for label, value in _values(parameter):
                found[name, label][layer, at] = value
    return tuple(sweep for (name, _), sweep in sorted(found.items(), key=lambda e: sizes[e[0][0]]))


def swept(point: Point, sweep: Sweep) -> Point:
    """The point with a sweep's values."""
    choices = list(point)
    for (layer, at), value in sweep.items():
        choices[layer] = replaced(choices[layer], at, value)
    return tuple(choices)


def _values(parameter: Parameter) -> Iterator[tuple[object, int]]:
    """Values of a parameter that has several, as indices, each with what is alike between layers."""
    if not parameter.ordered and parameter.size <= _POSITIONS:
        for value in range(parameter.size):
            yield repr(parameter.value_of(value)), value
        return
    count = min(parameter.size, _POSITIONS)
    for position in range(count):
        share = position / (count - 1)
        yield share, round(share * (parameter.size - 1))
