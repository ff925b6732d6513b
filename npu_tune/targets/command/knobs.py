"""What may be chosen, from a table of knobs by patterns of layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from npu_tune.errors import TargetError
from npu_tune.network import Layer, Network
from npu_tune.space import NETWORK_SCOPE, Knob, SearchSpace, Value
from npu_tune.targets.command.settings import KnobTable, StartTable
from npu_tune.targets.problem import Start
from npu_tune.validation import known_remedy

_WILDCARDS = re.compile(r"[*?\[]")


def make_space(tables: Iterable[KnobTable], network: Network) -> SearchSpace:
    """The knobs of a network, those of the whole network first, then in the order of its layers.

    Args:
        tables: a knob each, and which layers have it.
        network: whose layers they are.

    Raises:
        TargetError: for layers that the network does not have, for a knob that a layer has twice,
            and where there is nothing to choose.
    """
    tables = list(tables)
    names = [layer.name for layer in network.layers]
    knobs = [_knob(NETWORK_SCOPE, table) for table in tables if NETWORK_SCOPE in table.layers]
    for table in tables:
        for pattern in (*table.layers, *table.but):
            _require_known(pattern, names, table, network)
    knobs += [
        _knob(layer.name, table)
        for layer in network.layers
        for table in tables
        if _is_meant(table, layer)
    ]
    seen: set[str] = set()
    for knob in knobs:
        if knob.full_name in seen:
            raise TargetError(
                f"The layer {knob.layer!r} has the knob {knob.name!r} twice.",
                remedy="Let the patterns of its tables not overlap, or leave layers out by 'but'.",
            )
        seen.add(knob.full_name)
    if not knobs:
        raise TargetError(
            f"There is nothing to choose: no table of knobs is about a layer of {network.name!r}.",
            remedy=f"Its operators are {', '.join(sorted({each.op for each in network.layers}))}.",
        )
    return SearchSpace(tuple(knobs))


def make_starts(tables: Iterable[StartTable], space: SearchSpace) -> Iterator[Start]:
    """Configurations worth trying early; patterns that meet no knob of this network are skipped.

    Raises:
        TargetError: if a knob that is meant has no such value.
    """
    for table in tables:
        values: dict[str, Value] = {}
        for pattern, value in table.values.items():
            for knob in space.knobs:
                if not _matches(pattern, knob.full_name):
                    continue
                if value not in knob.values:
                    raise TargetError(
                        f"The start {table.label!r} gives {knob.full_name!r} the value {value!r}.",
                        remedy=f"It takes {', '.join(map(repr, knob.values))}.",
                    )
                values[knob.full_name] = value
        yield Start(table.label, space.configuration(values))


def by_layer(values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Values by knob, by layer; a name of a knob holds no slash."""
    nested: dict[str, dict[str, Value]] = {}
    for full_name, value in values.items():
        layer, _, knob = full_name.rpartition("/")
        nested.setdefault(layer, {})[knob] = value
    return nested


def _knob(layer: str, table: KnobTable) -> Knob:
    return Knob(layer, table.name, table.values, table.default, table.ordered, table.description)


def _is_meant(table: KnobTable, layer: Layer) -> bool:
    return (
        any(_matches(pattern, layer.name) for pattern in table.layers)
        and any(_matches(pattern, layer.op) for pattern in table.operators)
        and not any(_matches(pattern, layer.name) for pattern in table.but)
    )


def _matches(pattern: str, name: str) -> bool:
    return pattern == name or fnmatchcase(name, pattern)


def _require_known(pattern: str, names: list[str], table: KnobTable, network: Network) -> None:
    if pattern == NETWORK_SCOPE or pattern in names or _WILDCARDS.search(pattern):
        return
    raise TargetError(
        f"The knob {table.name!r} is about a layer {pattern!r}, which {network.name!r} has not.",
        remedy=known_remedy(pattern, names),
        layer=pattern,
    )
