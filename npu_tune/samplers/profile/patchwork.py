"""The best configuration that can be put together from segments that were seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.history import Floats
from npu_tune.samplers.layers import Choice
from npu_tune.samplers.profile.profiles import MAX, SUM, Run
from npu_tune.samplers.profile.relation import Relation
from npu_tune.samplers.profile.segments import Segments

_CEILINGS = 10
"""For so many limits on the peak the best sum is looked for."""

_ONE_CEILING = 0.2
"""How often only one of them is taken, which lets the search look beside what seems best."""


@dataclass(frozen=True)
class Patchwork:
    """Segments side by side that cover all layers.

    Args:
        runs: of the segments, in order.
        choices: by place.
    """

    runs: tuple[Run, ...]
    choices: Mapping[int, Choice]


def patchwork(
    segments: Segments, relation: Relation, places: int, random: np.random.Generator
) -> Patchwork:
    """The segments that together cost least: shortest paths, one for each limit on the peak.

    Every trial's own segments cover all layers, so there is one wherever a trial is known.

    Args:
        segments: of the trials.
        relation: says what costs.
        places: how many layers there are.
        random: decides on the limits.
    """
    sums, peaks = np.zeros(len(segments.seen)), np.zeros(len(segments.seen))
    for figure, factor in relation.part(SUM).items():
        sums += factor * segments.sums[:, figure.column]
    for figure, factor in relation.part(MAX).items():
        peaks += factor * segments.peaks[:, figure.column]
    limits = _limits(peaks, random)
    paths = [path for limit in limits if (path := _shortest(segments, sums, peaks, places, limit))]
    paths = paths or [_shortest(segments, sums, peaks, places, np.inf)]
    best = min(paths, key=lambda path: sums[path].sum() + peaks[path].max())
    chosen = [segments.seen[number] for number in best]
    choices = {
        place: choice
        for segment in chosen
        for place, choice in zip(
            range(segment.run[0], segment.run[1] + 1), segment.choices, strict=True
        )
    }
    return Patchwork(tuple(segment.run for segment in chosen), choices)


def _limits(peaks: Floats, random: np.random.Generator) -> Floats:
    """Levels of the peak."""
    levels = np.unique(peaks)
    count = min(len(levels), _CEILINGS)
    chosen = np.linspace(0, len(levels) - 1, count).astype(int)
    if random.random() < _ONE_CEILING:
        chosen = random.integers(len(levels), size=1)
    return np.asarray(levels[chosen])


def _shortest(
    segments: Segments, sums: Floats, peaks: Floats, places: int, limit: float
) -> list[int]:
    """The numbers of the segments with the smallest sum under the limit; none where none fit."""
    grouped = segments.grouped()
    usable = np.where(peaks <= limit, sums, np.inf)[grouped.order]
    least = np.minimum.reduceat(usable, grouped.starts)
    costs = [0.0] + [np.inf] * places
    back: list[tuple[int, int]] = [(0, 0)] * (places + 1)
    for last in range(places):
        for first, group in grouped.by_last.get(last, ()):
            cost = costs[first] + float(least[group])
            if cost < costs[last + 1]:
                costs[last + 1] = cost
                back[last + 1] = first, group
    if not np.isfinite(costs[places]):
        return []
    path: list[int] = []
    ends = [*grouped.starts[1:], len(usable)]
    while places:
        places, group = back[places]
        start = int(grouped.starts[group])
        path.append(int(grouped.order[start + int(np.argmin(usable[start : ends[group]]))]))
    return path[::-1]
