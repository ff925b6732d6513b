"""Says in words how two files of one name differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from npu_tune.errors import StorageError
from npu_tune.report.export.trials import TRIALS, unpacked

_MOST_SHOWN = 5
"""Values of a JSON file that differ and are named."""

_LONGEST = 60
_MEASURED = ("metrics", "confidence")
"""What `configuration.json` says that does not repeat where evaluations are measured."""


def file_difference(path: str, recorded: bytes, made: bytes, *, measured: bool = False) -> str:
    """How a file differs from the one that was made again; "" where it does not.

    Args:
        path: of the file.
        recorded: what it holds.
        made: what the other one holds.
        measured: whether metrics in it do not repeat.
    """
    if recorded == made:
        return ""
    if Path(path).name == TRIALS:
        try:
            recorded = unpacked(recorded, Path(path))
        except StorageError as error:
            return error.message
        made = unpacked(made, Path(path))
        return "" if recorded == made else _binary(recorded, made)
    if path.endswith(".json"):
        try:
            documents = json.loads(recorded), json.loads(made)
        except ValueError:
            return _text(recorded, made)
        if measured:
            documents = (_without_measured(documents[0]), _without_measured(documents[1]))
            if documents[0] == documents[1]:
                return ""
        return _json(*documents) or _text(recorded, made)
    return _text(recorded, made)


def _without_measured(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if name not in _MEASURED}


def _json(recorded: Any, made: Any) -> str:
    found = list(_values(recorded, made, ""))
    shown = [f"{name} is {_short(was)}, made again {_short(now)}" for name, was, now in found]
    more = len(found) - _MOST_SHOWN
    return "; ".join(shown[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _values(recorded: Any, made: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The values that differ, by where they stand."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for key in dict.fromkeys([*recorded, *made]):
            inner = f"{name}.{key}" if name else str(key)
            yield from _values(recorded.get(key), made.get(key), inner)
    elif isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        for place, pair in enumerate(zip(recorded, made, strict=True)):
            yield from _values(*pair, f"{name}[{place}]")
    elif recorded != made:
        yield name or "the document", recorded, made


def _text(recorded: bytes, made: bytes) -> str:
    try:
        lines = recorded.decode().splitlines(), made.decode().splitlines()
    except UnicodeDecodeError:
        return _binary(recorded, made)
    if b"\0" in recorded + made:
        return _binary(recorded, made)
    for number, (was, now) in enumerate(zip(*lines, strict=False), 1):
        if was != now:
            at = next(
                (i for i, pair in enumerate(zip(was, now, strict=False)) if len({*pair}) > 1), 0
            )
            start = max(at - _LONGEST // 3, 0)
            return f"line {number} is {_short(was[start:])}, made again {_short(now[start:])}"
    if len(lines[0]) != len(lines[1]):
        return f"it has {len(lines[0])} lines, made again {len(lines[1])}"
    return _binary(recorded, made)


def _binary(recorded: bytes, made: bytes) -> str:
    if len(recorded) != len(made):
        return f"it has {len(recorded):,} bytes, made again {len(made):,}"
    apart = [
        place for place, pair in enumerate(zip(recorded, made, strict=True)) if pair[0] != pair[1]
    ]
    return f"{len(apart):,} of {len(made):,} bytes differ, the first at {apart[0]:,}"


def _short(value: Any) -> str:
    text = "not there" if value is None else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
