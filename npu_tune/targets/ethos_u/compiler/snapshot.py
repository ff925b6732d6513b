"""Brings Vela's mutable graph back to the state it had before a compilation.

Vela schedules by changing its graph in place. Reading and optimising a network again for every
configuration would cost most of an evaluation, so the state behind the front end is recorded
once and written back before each compilation.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from enum import Enum
from typing import Any

_MODULES = "ethosu.vela."
_FIXED = ("ethosu.vela.architecture_features", "ethosu.vela.data_type", "ethosu.vela.shape4d")


class Snapshot:
    """The attributes of every Vela object that can be reached from some roots.

    Containers are copied all the way down; arrays and other leaves are kept by reference,
    because Vela replaces them but never writes into them.

    Args:
        roots: objects to start from; classes stand for their class attributes.
    """

    def __init__(self, *roots: Any) -> None:
        self._objects: list[_ObjectState] = []
        self._classes: list[tuple[type, dict[str, Any]]] = []
        seen: set[int] = set()
        queue = list(roots)
        while queue:
            thing = queue.pop()
            if id(thing) in seen:
                continue
            if isinstance(thing, type):
                state = {k: v for k, v in vars(thing).items() if isinstance(v, (dict, list))}
                self._classes.append((thing, {k: _copy(v) for k, v in state.items()}))
            elif _is_mutable(thing):
                state = _attributes(thing)
                self._objects.append(_ObjectState(thing, state))
            elif isinstance(thing, dict):
                queue.extend(thing.keys())
                state = thing
            elif isinstance(thing, (list, tuple, set, frozenset)):
                queue.extend(thing)
                continue
            else:
                continue
            seen.add(id(thing))
            queue.extend(state.values())

    def restore(self) -> None:
        """Writes the recorded state back; objects made since then are simply forgotten."""
        for recorded in self._objects:
            recorded.restore()
        for cls, state in self._classes:
            for name, value in state.items():
                setattr(cls, name, _copy(value))

    def clear(self) -> None:
        """Takes all attributes from the recorded objects, and forgets them.

        They refer to each other in circles, so that the garbage collector alone would free what
        they hold, such as all weights. Nothing is restored afterwards.
        """
        for recorded in self._objects:
            recorded.clear()
        self._objects.clear()
        self._classes.clear()


class _ObjectState:
    """The attributes of one object, sorted by how they are written back fastest."""

    __slots__ = ("_flat", "_nested", "_plain", "_slots", "_thing")

    def __init__(self, thing: Any, attributes: dict[str, Any]) -> None:
        self._thing = thing
        own = getattr(thing, "__dict__", {})
        self._plain: dict[str, Any] = {}
        self._slots: list[tuple[str, Any]] = []
        self._flat: list[tuple[str, Any]] = []
        self._nested: list[tuple[str, Any]] = []
        for name, value in attributes.items():
            if type(value) not in _CONTAINERS:
                if name in own:
                    self._plain[name] = value
                else:
                    self._slots.append((name, value))
            elif type(value) in (list, dict, set) and not _holds_containers(value):
                self._flat.append((name, value.copy()))
            else:
                self._nested.append((name, _copy(value)))

    def restore(self) -> None:
        thing = self._thing
        current = getattr(thing, "__dict__", None)
        if current is not None:
            current.clear()
            current.update(self._plain)
        for name, value in self._slots:
            object.__setattr__(thing, name, value)
        for name, value in self._flat:
            object.__setattr__(thing, name, value.copy())
        for name, value in self._nested:
            object.__setattr__(thing, name, _copy(value))

    def clear(self) -> None:
        for name, _ in (*self._slots, *self._flat, *self._nested):
            object.__setattr__(self._thing, name, None)
        getattr(self._thing, "__dict__", {}).clear()


_CONTAINERS = (list, dict, set, OrderedDict, defaultdict)


def _holds_containers(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(type(item) in _CONTAINERS for item in items)


def _is_mutable(thing: Any) -> bool:
    module = type(thing).__module__
    return (
        module.startswith(_MODULES)
        and not module.startswith(_FIXED)
        and not isinstance(thing, (Enum, tuple))
    )


def _attributes(thing: Any) -> dict[str, Any]:
    state = dict(getattr(thing, "__dict__", {}))
    for cls in type(thing).__mro__:
        for name in getattr(cls, "__slots__", ()):
            if hasattr(thing, name):
                state[name] = getattr(thing, name)
    return state


def _copy(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return [_copy(item) for item in value]
    if kind in (dict, OrderedDict):
        return kind((key, _copy(item)) for key, item in value.items())
    if kind is defaultdict:
        return defaultdict(value.default_factory, {k: _copy(v) for k, v in value.items()})
    if kind is set:
        return set(value)
    return value
