"""Vela's live-range look-up, by key instead of by comparing with every tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ethosu.vela.live_range import LiveRange, LiveRangeGraph
from ethosu.vela.tensor import Tensor

_original = LiveRangeGraph.get_or_create_range


def _get_or_create_range(self: Any, tens: Any, alignment: int = Tensor.AllocationQuantum) -> Any:
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


@contextmanager
def fast_live_ranges() -> Iterator[None]:
    """Puts the quick look-up in the place of Vela's, which gives the same ranges."""
    LiveRangeGraph.get_or_create_range = _get_or_create_range
    try:
        yield
    finally:
        LiveRangeGraph.get_or_create_range = _original
