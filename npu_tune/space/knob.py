"""Knobs, configurations and the search space they span."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from npu_tune.errors import IllegalConfigurationError
from npu_tune.network.model import RESERVED_NAME
from npu_tune.validation import closest_hint

if TYPE_CHECKING:
    import pandas as pd

Value: TypeAlias = str | int | float | bool

NETWORK_SCOPE = RESERVED_NAME
"""The layer part of the name of a knob that belongs to the whole network; no layer has this name."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One control parameter of one layer, or of the whole network.

    Args:
        layer: the layer's name, or ``network``.
        name: what is chosen, such as ``ofm_block``; holds no ``/``.
        values: what may be chosen; at least one, all different.
        default: the vendor's own choice, one of ``values``.
        ordered: True where neighbours in ``values`` behave alike, so that a sampler may
            interpolate; such knobs become integers (an index into ``values``) in Optuna.
        description: one line for people.

    Raises:
        ValueError: if the values repeat or the default is not one of them.
    """

    layer: str
    name: str
    values: tuple[Value, ...]
    default: Value
    ordered: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if "/" in self.name:
            raise ValueError(f"The knob name {self.name!r} may not hold a '/'.")
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"The knob {self.full_name!r} offers a value twice: {self.values!r}.")
        if self.default not in self.values:
            raise ValueError(
                f"The default {self.default!r} of the knob {self.full_name!r} is not one of its "
                f"values {self.values!r}."
            )

    @property
    def full_name(self) -> str:
        """``layer/knob``: the knob's name in configurations and in Optuna studies."""
        return f"{self.layer}/{self.name}"


@dataclass(frozen=True)
class Configuration(Mapping[str, Value]):
    """A value for every knob of a search space; immutable and hashable.

    Args:
        items_: pairs of full knob name and value, in the order of the search space.
    """

    items_: tuple[tuple[str, Value], ...]

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Configuration:
        return cls(tuple(values.items()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Full names of the knobs, in order."""
        return tuple([name for name, _ in self.items_])

    @cached_property
    def _by_name(self) -> dict[str, Value]:
        return dict(self.items_)

    def __getitem__(self, name: str) -> Value:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self.items_)

    def __hash__(self) -> int:
        return hash(self.items_)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self.items_ == other.items_

    def replace(self, changes: Mapping[str, Value]) -> Configuration:
        """This configuration with some values changed.

        Raises:
            KeyError: if a change names a knob that is not here.
        """
        unknown = [name for name in changes if name not in self._by_name]
        if unknown:
            raise KeyError(unknown[0])
        return Configuration(tuple((name, changes.get(name, old)) for name, old in self.items_))

    def difference(self, default: Configuration) -> dict[str, Value]:
        """The values in which this configuration differs from ``default``."""
        pairs = zip(self.items_, default.items_, strict=False)
        differing = [(own, other) for own, other in pairs if own != other]
        if len(self) != len(default) or any(own[0] != other[0] for own, other in differing):
            return {name: value for name, value in self.items_ if default.get(name) != value}
        return {name: value for (name, value), _ in differing}

    def to_json(self) -> str:
        """A canonical JSON object: the same configuration gives the same text."""
        return json.dumps(self._by_name, separators=(",", ":"))


def _unchanged(configuration: Configuration) -> Configuration:
    return configuration


@dataclass(frozen=True)
class SearchSpace:
    """The knobs of a network on a target, in layer order, with the rule for what is legal.

    Args:
        knobs: in the order in which the network executes its layers; knobs of the whole
            network come first.
        effective: maps a configuration to the one the target really compiles, with every value
            that makes no difference in its company set to its default. Configurations with the
            same effective one are duplicates of each other.
        check: raises :class:`IllegalConfigurationError` where the target's rules forbid a
            configuration although every single value is legal.
    """

    knobs: tuple[Knob, ...]
    effective: Callable[[Configuration], Configuration] = field(default=_unchanged, repr=False)
    check: Callable[[Configuration], None] = field(default=lambda _: None, repr=False)

    def __post_init__(self) -> None:
        names = [knob.full_name for knob in self.knobs]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"The knob {twice!r} is there twice.")

    @cached_property
    def by_name(self) -> Mapping[str, Knob]:
        return {knob.full_name: knob for knob in self.knobs}

    @cached_property
    def items_by_param(self) -> tuple[tuple[str, Mapping[Any, tuple[str, Value]]], ...]:
        """Per knob its full name, and what stands in a configuration for each parameter in Optuna.

        That is the index of a value of an ordered knob, and the value itself of any other.
        """
        rows = []
        for knob in self.knobs:
            name, values = knob.full_name, knob.values  # noqa: PD011 - a knob is no data frame
            # Of equal values, such as 1 and True, the first one counts.
            found = reversed([*enumerate(values)])
            rows.append((name, {i if knob.ordered else v: (name, v) for i, v in found}))
        return tuple(rows)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers that have knobs, in order; ``network`` first where there are such knobs."""
        return tuple(dict.fromkeys(knob.layer for knob in self.knobs))

    @cached_property
    def default(self) -> Configuration:
        """The vendor's default configuration."""
        return Configuration(tuple((knob.full_name, knob.default) for knob in self.knobs))

    def complete(self, values: Mapping[str, Value]) -> Configuration:
        """A configuration of this space as it is; any other mapping, the rest at their defaults.

        Raises:
            IllegalConfigurationError: if a name is unknown or a value is not offered.
        """
        if isinstance(values, Configuration) and values.names == self.default.names:
            return values
        return self.configuration(values)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per knob: layer, name, values, default, ordered, description."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        return pd.DataFrame([dataclasses.asdict(knob) for knob in self.knobs])

    def configuration(self, values: Mapping[str, Value]) -> Configuration:
        """A whole configuration from some values, the rest at their defaults.

        Raises:
            IllegalConfigurationError: if a name is unknown or a value is not offered.
        """
        for name, value in values.items():
            knob = self.by_name.get(name)
            if knob is None:
                raise IllegalConfigurationError(
                    f"There is no knob {name!r}.",
                    remedy=f"{closest_hint(name, self.by_name)}`npu-tune space` lists the knobs of "
                    "a network.",
                    knob=name,
                )
            if value not in knob.values:  # noqa: PD011 - a knob is no data frame
                raise IllegalConfigurationError(
                    f"The knob {name!r} has no value {value!r}.",
                    remedy=f"{closest_hint(str(value), map(str, knob.values))}It takes one of "
                    f"{_short(knob.values)}.",
                    knob=name,
                    value=value,
                )
        return self.default.replace(values)


def _short(values: Iterable[Value], most: int = 12) -> str:
    listed = [repr(value) for value in values]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
