"""Quicker ways to answers that Vela computes again and again within a process.

Each stands in for one of Vela's functions while a compilation runs and gives the same answer;
that a compilation with them equals one without is tested on whole networks.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from ethosu.vela import architecture_allocator, live_range, scheduler
from ethosu.vela.live_range import LiveRange, LiveRangeGraph
from ethosu.vela.tensor import Tensor


class Shortcuts:
    """The stand-ins for one architecture."""

    def __init__(self) -> None:
        self._blocks: dict[Any, Any] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts the stand-ins in their places."""
        with (
            patch.object(scheduler, "find_block_config", self._find_block_config),
            patch.object(scheduler, "namedtuple", _named_tuple),
            patch.object(live_range, "namedtuple", _named_tuple),
            patch.object(LiveRangeGraph, "get_or_create_range", _get_or_create_range),
        ):
            yield

    def _find_block_config(self, arch: Any, *query: Any) -> Any:
        """Vela's exhaustive search for a block, once per question."""
        key = tuple(_hashable(item) for item in query)
        if key not in self._blocks:
            self._blocks[key] = architecture_allocator.find_block_config(arch, *query)
        return self._blocks[key]


def _hashable(item: Any) -> Any:
    if hasattr(item, "dilation"):  # a kernel
        return (item.width, item.height, item.stride, item.dilation)
    return item


@cache
def _class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # noqa: PYI024


def _named_tuple(name: str, fields: list[str]) -> Any:
    """A class that Vela makes anew in each call of a function, at a fifth of a millisecond."""
    return _class(name, tuple(fields))


def _get_or_create_range(self: Any, tens: Any, alignment: int = Tensor.AllocationQuantum) -> Any:
    """Finds a tensor's live range by its key instead of comparing it with every tensor."""
    known = self.__dict__.setdefault("_by_equivalence", {})
    if len(known) < len(self.ranges):
        for tensor, found in self.ranges.items():
            known.setdefault(tensor.equivalence_id, found)
    live = known.get(tens.equivalence_id)
    if live is None:
        live = LiveRange(tens, alignment)
        known[tens.equivalence_id] = live
        self.ranges[tens] = live
        self.lrs.append(live)
    else:
        live.set_alignment(alignment)
    return live
