"""What a study remembers of each trial, kept small: a long one has a hundred thousand of them."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import ItemsView, Iterator, Mapping
from functools import lru_cache
from typing import Any

from npu_tune.space import Configuration, Value
from npu_tune.targets.profiles import unpack_profile

_MOST_ITEMS = 16
"""A flat table of so many items takes about as much room as the packed form of one."""

_LONGEST_WORD = 24
"""Characters up to which a text is one of few, such as an origin, that trials share."""


class PackedTable(Mapping[str, Any]):
    """A JSON object as compressed text, read whenever somebody looks at it.

    Args:
        table: of JSON values.
    """

    __slots__ = ("_data", "_length")

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._length = len(table)
        text = json.dumps(table, separators=(",", ":"), default=dict)
        self._data = zlib.compress(text.encode(), level=1)

    def json_text(self) -> bytes:
        """The table as JSON, as ledgers write it."""
        return zlib.decompress(self._data)

    def __getitem__(self, name: str) -> Any:
        return _read(self._data)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_read(self._data))

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"PackedTable({_read(self._data)!r})"


class LazyProfile(Mapping[str, Mapping[str, float]]):
    """A trial's profile, made of the table that the trial keeps whenever it is looked at.

    Args:
        table: as :func:`npu_tune.targets.profiles.pack_profile` made it.
    """

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def __getitem__(self, layer: str) -> Mapping[str, float]:
        return unpack_profile(self._table)[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(unpack_profile(self._table))

    def __len__(self) -> int:
        return len(self._table.get("rows", ()))

    def items(self) -> ItemsView[str, Mapping[str, float]]:
        """All rows, of a table that is read once."""
        return unpack_profile(self._table).items()

    def __repr__(self) -> str:
        return f"LazyProfile({dict(self)!r})"


class TrialMetrics(Mapping[str, float]):
    """A trial's metrics as a view of its attributes: those whose name is not taken.

    Args:
        attributes: of the trial.
        taken: names of attributes that are no metrics.
    """

    __slots__ = ("_attributes", "_taken")

    def __init__(self, attributes: Mapping[str, Any], taken: frozenset[str]) -> None:
        self._attributes = attributes
        self._taken = taken

    def __getitem__(self, name: str) -> float:
        if name in self._taken:
            raise KeyError(name)
        value: float = self._attributes[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._attributes if name not in self._taken)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class SharedPairs:
    """Lets configurations share what they have in common: nearly all pairs of name and value."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, Value], tuple[str, Value]] = {}

    def share(self, configuration: Configuration) -> Configuration:
        """The same configuration, of pairs that were seen before where possible."""
        pairs = self._pairs
        return Configuration(
            tuple([pairs.setdefault(pair, pair) for pair in configuration.items_])
        )


def pack_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's attributes with the large tables among them packed.

    Args:
        attributes: JSON values by name.
    """
    return {sys.intern(name): _packed(value) for name, value in attributes.items()}


def _packed(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= _LONGEST_WORD:
        return sys.intern(value)
    if not isinstance(value, dict):
        return value
    if len(value) > _MOST_ITEMS or any(isinstance(v, dict | list) for v in value.values()):
        return PackedTable(value)
    return {sys.intern(name): item for name, item in value.items()}


@lru_cache(maxsize=8)
def _read(data: bytes) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(zlib.decompress(data))
    return table
