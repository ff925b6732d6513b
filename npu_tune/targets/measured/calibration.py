"""Ranges of a graph's tensors on typical inputs, found once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.runtimes import onnx_session, run_session
from npu_tune.targets.measured.engine import Feed

Method = Literal["minmax", "mse", "p99.99", "p99.9"]

METHODS: tuple[Method, ...] = get_args(Method)
"""How a range is made of what was seen: all of it, what int8 rounds with the least mean square
error, or what leaves out the furthest of ten thousand or of a thousand values."""

LEVELS = 256
"""Of eight bits."""

_BINS = 2048
_SHARES = np.linspace(0.2, 1.0, 41)
"""Of the range, that the search for the least error tries at each end."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often a tensor had which values.

    Args:
        low: least value.
        high: greatest value.
        counts: in bins of equal width from ``low`` to ``high``.
    """

    low: float
    high: float
    counts: NDArray[np.int64]

    def range(self, method: Method) -> tuple[float, float]:
        """The range by one of :data:`METHODS`; zero is always within it."""
        if method == "minmax" or self.high <= self.low:
            low, high = self.low, self.high
        elif method == "mse":
            low, high = self._least_error()
        else:
            share = float(method.removeprefix("p")) / 100
            low, high = self._percentile(share)
        return min(low, 0.0), max(high, 0.0)

    @property
    def _centres(self) -> NDArray[np.float64]:
        width = (self.high - self.low) / _BINS
        return np.asarray(self.low + width * (np.arange(_BINS) + 0.5), np.float64)

    def _percentile(self, share: float) -> tuple[float, float]:
        """Cuts the values furthest from zero."""
        away = np.abs(self._centres)
        order = np.argsort(away, kind="stable")
        within = np.cumsum(self.counts[order])
        last = int(np.searchsorted(within, share * within[-1]))
        limit = float(away[order[min(last, _BINS - 1)]])
        return max(self.low, -limit), min(self.high, limit)

    def _least_error(self) -> tuple[float, float]:
        """The ends with which rounding and cutting lose least."""
        centres, counts = self._centres, self.counts
        lows, highs = _SHARES * min(self.low, 0.0), _SHARES * max(self.high, 0.0)
        # What is cut at one end has nothing to do with the other end.
        below = [float((np.minimum(centres - low, 0.0) ** 2 * counts).sum()) for low in lows]
        above = [float((np.maximum(centres - high, 0.0) ** 2 * counts).sum()) for high in highs]
        steps = (highs[None, :] - lows[:, None]) / (LEVELS - 1)
        # A value is as likely anywhere within a step, whose variance is a twelfth.
        error = np.add.outer(below, above) + steps**2 / 12 * counts.sum()
        low_at, high_at = np.unravel_index(int(error.argmin()), error.shape)
        return float(lows[low_at]), float(highs[high_at])


def observe_histograms(
    graph: OnnxGraph, names: Iterable[str], feeds: Iterable[Feed]
) -> Mapping[str, Histogram]:
    """Runs a graph on inputs, twice: for the ends of the ranges, and for what is within them.

    Values that are not finite, as masks have them, belong to no range and are left out.

    Args:
        graph: of float32.
        names: of the tensors that are looked at.
        feeds: typical inputs.
    """
    wanted = list(dict.fromkeys(names))
    computed = [name for name in wanted if name not in graph.inputs] or graph.outputs[:1]
    session = onnx_session(graph_to_onnx(graph, outputs=computed))
    given = list(feeds)

    def values(feed: Feed) -> Mapping[str, NDArray[np.float32]]:
        found = dict(zip(computed, run_session(session, computed, feed), strict=True))
        every = {name: found[name] if name in found else feed[name] for name in wanted}
        return {name: value[np.isfinite(value)] for name, value in every.items()}

    ends: dict[str, tuple[float, float]] = {}
    for feed in given:
        for name, value in values(feed).items():
            low, high = ends.get(name, (np.inf, -np.inf))
            ends[name] = (
                min(low, float(value.min(initial=np.inf))),
                max(high, float(value.max(initial=-np.inf))),
            )
    counts = {name: np.zeros(_BINS, np.int64) for name in wanted}
    for feed in given:
        for name, value in values(feed).items():
            counts[name] += _count(value, *ends[name])
    return {
        name: Histogram(*(ends[name] if counts[name].any() else (0.0, 0.0)), counts[name])
        for name in wanted
    }


def _count(value: NDArray[np.float32], low: float, high: float) -> NDArray[np.int64]:
    if high <= low:
        counts = np.zeros(_BINS, np.int64)
        counts[0] = value.size
        return counts
    # In float32 the width of the widest and of the narrowest range is no number.
    scaled = (value.astype(np.float64) - low) * (_BINS / (high - low))
    # A network that draws random numbers computes others than when the ends were found.
    places = np.clip(scaled, 0, _BINS - 1).astype(np.int64)
    return np.bincount(places, minlength=_BINS)
