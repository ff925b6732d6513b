"""What a study remembers of each trial, kept small: a long one has a hundred thousand of them."""

from __future__ import annotations

import contextlib
import json
import sys
import zlib
from collections.abc import ItemsView, Iterator, Mapping
from functools import lru_cache
from typing import Any

from npu_tune.errors import StorageError
from npu_tune.space import Configuration, Value
from npu_tune.targets.profiles import unpack_profile

PROFILE = "profile"
PROFILE_FIELDS = 2
"""An attribute of trials, and the fields that :func:`npu_tune.targets.profiles.pack_profile` gives it."""

MEANINGLESS = (AttributeError, LookupError, TypeError, ValueError)
"""What reading attributes raises that nobody of this package wrote."""

_MOST_ITEMS = 16
"""A flat table of so many items takes about as much room as the packed form of one."""

_NESTED = (dict, list)

_LONGEST_WORD = 24
"""Characters up to which a text is one of few, such as an origin, that trials share."""


class PackedTable(Mapping[str, Any]):
    """A JSON object as a text, compressed or not, that is read whenever somebody looks at it.

    Args:
        text: of the object, without space before it.
        length: number of its fields.
        is_compressed: False where memory counts for less than time.
    """

    __slots__ = ("_data", "_length")

    def __init__(self, text: bytes, length: int, *, is_compressed: bool = True) -> None:
        self._data = zlib.compress(text, level=1) if is_compressed else text
        self._length = length

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> PackedTable:
        """Packs a table of JSON values."""
        text = json.dumps(table, separators=(",", ":"), default=dict)
        return cls(text.encode(), len(table))

    def json_text(self) -> bytes:
        """The table as JSON, as ledgers write it."""
        return _text(self._data)

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

    Raises:
        StorageError: wherever it is looked at, if it is not what was written.
    """

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def __getitem__(self, layer: str) -> Mapping[str, float]:
        return self._rows()[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows())

    def __len__(self) -> int:
        with _named_profile():
            return len(self._table.get("rows", ()))

    def items(self) -> ItemsView[str, Mapping[str, float]]:
        """All rows, of a table that is read once."""
        return self._rows().items()

    def __repr__(self) -> str:
        return f"LazyProfile({dict(self)!r})"

    def _rows(self) -> dict[str, dict[str, float]]:
        with _named_profile():
            return unpack_profile(self._table)


@contextlib.contextmanager
def _named_profile() -> Iterator[None]:
    try:
        yield
    except MEANINGLESS as error:
        raise StorageError(
            f"The profile of a trial does not hold what npu-tune wrote: {error!r}.",
            remedy="Restore the study's storage from a backup.",
        ) from error


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

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class SharedPairs:
    """Lets configurations share what they have in common: nearly all pairs of name and value."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, Value], tuple[str, Value]] = {}
        # The last default, its pairs shared, and the places of its names.
        self._default: Configuration | None = None
        self._items: tuple[tuple[str, Value], ...] = ()
        self._places: dict[str, int] = {}

    def share(self, configuration: Configuration) -> Configuration:
        """The same configuration, of pairs that were seen before where possible."""
        pairs = self._pairs
        return Configuration(
            tuple([pairs.setdefault(pair, pair) for pair in configuration.items_])
        )

    def changed(self, default: Configuration, changes: Mapping[str, Value]) -> Configuration:
        """A configuration with some values changed; of shared pairs, as far as possible.

        Raises:
            KeyError: if a change names a knob that is not there.
        """
        if self._default is not default:
            self._default, self._items = default, self.share(default).items_
            self._places = {name: place for place, (name, _) in enumerate(default.items_)}
        pairs, places = self._pairs, self._places
        items = [*self._items]
        for pair in changes.items():
            items[places[pair[0]]] = pairs.setdefault(pair, pair)
        return Configuration(tuple(items))


def pack_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's attributes with the large tables among them packed.

    Args:
        attributes: JSON values by name.
    """
    packed: dict[str, Any] = {}
    for name, value in attributes.items():
        kept: Any = value
        if type(value) is str and len(value) <= _LONGEST_WORD:
            kept = sys.intern(value)
        elif type(value) is dict:
            kept = PackedTable.of(value) if _is_large(value) else _interned(value)
        packed[sys.intern(name)] = kept
    return packed


def _is_large(table: Mapping[str, Any]) -> bool:
    return len(table) > _MOST_ITEMS or any(type(value) in _NESTED for value in table.values())


def _interned(table: Mapping[str, Any]) -> dict[str, Any]:
    return {sys.intern(name): value for name, value in table.items()}


@lru_cache(maxsize=8)
def _read(data: bytes) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_text(data))
    return table


def _text(data: bytes) -> bytes:
    # An object begins with a brace, which no compressed text does.
    return data if data.startswith(b"{") else zlib.decompress(data)
