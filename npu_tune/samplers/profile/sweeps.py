"""One parameter set alike in all layers, so that one trial tells what that does to each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from npu_tune.samplers.layers import LayeredSpace, Parameter, Point, is_reserved
from npu_tune.samplers.steps import replace_value

Sweep: TypeAlias = Mapping[tuple[int, int], int]
"""By layer and parameter (their indices in the space), the index of its value."""


def sweeps_of(space: LayeredSpace, positions: int) -> tuple[Sweep, ...]:
    """Makes, for every parameter that layers have by one name, a sweep for each of its values.

    Those of parameters with few values come first: a switch is soon known.

    Args:
        space: of the study; network-wide parameters are left out.
        positions: number of values, evenly spaced, of a parameter with more values.
    """
    found: dict[tuple[str, object], dict[tuple[int, int], int]] = defaultdict(dict)
    sizes: dict[str, int] = {}
    for layer, parameters in enumerate(space.layers):
        if is_reserved(space.names[layer]):
            continue
        for at, parameter in enumerate(parameters):
            if parameter.size < 2:
                continue
            name = parameter.short_name
            sizes[name] = min(sizes.get(name, parameter.size), parameter.size)
            for label, value in _values(parameter, positions):
                found[name, label][layer, at] = value
    return tuple(sweep for (name, _), sweep in sorted(found.items(), key=lambda e: sizes[e[0][0]]))


def apply_sweep(point: Point, sweep: Sweep) -> Point:
    """Sets a sweep's values in a point."""
    choices = list(point)
    for (layer, at), value in sweep.items():
        choices[layer] = replace_value(choices[layer], at, value)
    return tuple(choices)


def _values(parameter: Parameter, positions: int) -> Iterator[tuple[object, int]]:
    """Yields value indices of a parameter, each with a label that layers have in common."""
    if not parameter.ordered and parameter.size <= positions:
        for value in range(parameter.size):
            yield repr(parameter.value_of(value)), value
        return
    count = min(parameter.size, positions)
    for position in range(count):
        share = position / (count - 1)
        yield share, round(share * (parameter.size - 1))
