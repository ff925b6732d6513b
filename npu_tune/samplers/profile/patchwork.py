"""The best configuration that can be put together from segments that were seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.layers import Choice
from npu_tune.samplers.profile.profiles import MAX, SUM, Run
from npu_tune.samplers.profile.relation import Relation
from npu_tune.samplers.profile.segments import Segments
from npu_tune.samplers.profile.settings import LayerProfileSettings


@dataclass(frozen=True)
class Patchwork:
    """Segments side by side that cover all layers.

    Args:
        runs: of the segments, in order.
        choices: by place.
        sums: of their columns.
    """

    runs: tuple[Run, ...]
    choices: Mapping[int, Choice]
    sums: Floats


def patchwork(
    segments: Segments,
    relation: Relation,
    places: int,
    random: np.random.Generator,
    settings: LayerProfileSettings,
) -> Patchwork:
    """Joins the segments that together cost least: shortest paths, one for each limit on the peak.

    Every trial's own segments cover all layers, so there is one wherever a trial is known.

    Args:
        segments: of the trials.
        relation: says what costs.
        places: how many layers there are.
        random: decides on the limits.
        settings: of the sampler.
    """
    sums, peaks = np.zeros(len(segments.seen)), np.zeros(len(segments.seen))
    for aggregate, factor in relation.part(SUM).items():
        sums += factor * segments.sums[:, aggregate.column]
    for aggregate, factor in relation.part(MAX).items():
        peaks += factor * segments.peaks[:, aggregate.column]
    limits = _limits(peaks, random, settings)
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
    runs = tuple(segment.run for segment in chosen)
    return Patchwork(runs, choices, segments.sums[best].sum(axis=0))


def _limits(peaks: Floats, random: np.random.Generator, settings: LayerProfileSettings) -> Floats:
    """Picks levels of the peak as limits."""
    levels = np.unique(peaks)
    count = min(len(levels), settings.peak_limits)
    chosen = np.linspace(0, len(levels) - 1, count).astype(int)
    if random.random() < settings.single_limit_share:
        chosen = random.integers(len(levels), size=1)
    return np.asarray(levels[chosen])


def _shortest(
    segments: Segments, sums: Floats, peaks: Floats, places: int, limit: float
) -> list[int]:
    """Numbers of the segments with the smallest sum under the limit; empty where none fit."""
    grouped = segments.group_by_run()
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
