"""What one change of a knob did to a layer, there, as what to expect of it here."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npu_tune.space import NETWORK_SCOPE, Knob, SearchSpace, Value
from npu_tune.tuning.warm.matching import Match
from npu_tune.tuning.warm.source import WarmSource, WarmTrial

MOST_TRIALS = 500
"""Of a source that are read, the first ones: more would only take long."""


@dataclass(frozen=True)
class Lesson:
    """What one change of a knob of a layer did.

    Args:
        layer: its name.
        knob: its name within the layer.
        before: its value.
        after: its value then.
        gain: by how much the layer and its neighbours cost less, as a share of what the layer costs
            by default; below 0 where they cost more.
        weight: how much that is to be trusted: the number of times it was seen, less where the
            layers are unlike.
    """

    layer: str
    knob: str
    before: Value
    after: Value
    gain: float
    weight: float

    def to_list(self) -> list[Any]:
        """As JSON; the reverse of :meth:`of_list`."""
        gain, weight = (float(f"{each:.4g}") for each in (self.gain, self.weight))
        return [self.layer, self.knob, self.before, self.after, gain, weight]

    @classmethod
    def of_list(cls, values: Sequence[Any]) -> Lesson:
        """Reads what :meth:`to_list` wrote."""
        return cls(*values)


class LessonTable:
    """What is expected of changes.

    Args:
        lessons: of one source or several.
    """

    def __init__(self, lessons: Iterable[Lesson] = ()) -> None:
        sums: defaultdict[tuple[str, str, Value, Value], list[float]]
        sums = defaultdict(lambda: [0.0, 0.0])
        for each in lessons:
            for before, after, sign in (
                (each.before, each.after, 1.0),
                (each.after, each.before, -1.0),
            ):
                entry = sums[each.layer, each.knob, before, after]
                entry[0] += sign * each.weight * each.gain
                entry[1] += each.weight
        self._gains = {key: total / weight for key, (total, weight) in sums.items() if weight}

    def gain(self, layer: str, knob: str, before: Value, after: Value) -> float | None:
        """The expected gain, as in :class:`Lesson`; None where nothing is known."""
        return self._gains.get((layer, knob, before, after))

    def __len__(self) -> int:
        return len(self._gains) // 2


def lessons_of(source: WarmSource) -> list[Lesson]:
    """What the trials of a source say, of its own layers.

    Two trials are compared at a layer where one knob is all in which they differ, there and in the
    layers beside it, with the same choices for the whole network. What changes is the cost of the
    three.
    """
    layers = list(dict.fromkeys(map(_layer, source.default)))
    walked = [layer for layer in layers if layer != NETWORK_SCOPE]
    knobs: dict[str, list[str]] = {layer: [] for layer in layers}
    for name in source.default:
        knobs[_layer(name)].append(name)
    trials = [each for each in (source.baseline, *source.known) if each.profile][:MOST_TRIALS]
    tables = [_choices(source, trial, knobs) for trial in trials]
    costs = [_costs(source, trial, walked) for trial in trials]
    found: list[Lesson] = []
    for place, layer in enumerate(walked):
        own = costs[0][place] if costs else 0.0
        if own <= 0:
            continue
        near = range(max(place - 1, 0), min(place + 2, len(walked)))
        beside = [walked[at] for at in near if at != place]
        groups: defaultdict[tuple[Any, ...], dict[Value, float]] = defaultdict(dict)
        for table, cost in zip(tables, costs, strict=True):
            around = (table.get(NETWORK_SCOPE, ()), *(table[each] for each in beside))
            total = sum(cost[at] for at in near)
            choice = table[layer]
            for at, value in enumerate(choice):
                company = (at, choice[:at], choice[at + 1 :], around)
                groups[company].setdefault(value, total)
        found += _compared(layer, knobs[layer], groups, own)
    return found


def translated(
    lessons: Sequence[Lesson],
    source: WarmSource,
    match: Match,
    space: SearchSpace,
) -> list[Lesson]:
    """Lessons about layers there as lessons about the layers here that are like them.

    A default there stands for the default here; what has no such value is left out.

    Args:
        lessons: of the source.
        source: what they come from.
        match: which of its layers are like which.
        space: of the search.
    """
    by_layer: defaultdict[str, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        by_layer[lesson.layer].append(lesson)
    return list(_translations(by_layer, source, match, space))


def _translations(
    by_layer: Mapping[str, Sequence[Lesson]],
    source: WarmSource,
    match: Match,
    space: SearchSpace,
) -> Iterator[Lesson]:
    for layer in space.layers:
        for there, likeness in match.kin.get(layer, ()):
            for lesson in by_layer.get(there, ()):
                knob = space.by_name.get(f"{layer}/{lesson.knob}")
                if knob is None:
                    continue
                default = source.default[f"{there}/{lesson.knob}"]
                before = value_here(knob, lesson.before, default)
                after = value_here(knob, lesson.after, default)
                if before is not None and after is not None and before != after:
                    weight = lesson.weight * likeness
                    yield Lesson(layer, lesson.knob, before, after, lesson.gain, weight)


def value_here(knob: Knob, value: Value, default: Value) -> Value | None:
    """What stands here for a value there; None where nothing does.

    Args:
        knob: here.
        value: of the knob of that name there.
        default: of that one.
    """
    if value == default:
        return knob.default
    offered = any(value == each and type(value) is type(each) for each in knob.values)
    return value if offered else None


def _compared(
    layer: str,
    names: Sequence[str],
    groups: Mapping[tuple[Any, ...], Mapping[Value, float]],
    own: float,
) -> Iterator[Lesson]:
    sums: defaultdict[tuple[int, Value, Value], list[float]] = defaultdict(list)
    for (at, *_), costs in groups.items():
        values = list(costs)
        for number, before in enumerate(values):
            for after in values[number + 1 :]:
                one, other = sorted((before, after), key=repr)
                sums[at, one, other].append((costs[one] - costs[other]) / own)
    for (at, before, after), gains in sums.items():
        knob = names[at].rpartition("/")[2]
        yield Lesson(layer, knob, before, after, math.fsum(gains) / len(gains), float(len(gains)))


def _choices(
    source: WarmSource, trial: WarmTrial, knobs: Mapping[str, Sequence[str]]
) -> dict[str, tuple[Value, ...]]:
    values = {**source.default, **trial.changes}
    return {layer: tuple(values[name] for name in names) for layer, names in knobs.items()}


def _costs(source: WarmSource, trial: WarmTrial, layers: Sequence[str]) -> list[float]:
    places = {layer: place for place, layer in enumerate(layers)}
    found = [0.0] * len(layers)
    place = 0
    for name, row in trial.profile.items():
        place = places.get(name, place)
        found[place] += row.get(source.cost, 0.0)
    return found


def _layer(name: str) -> str:
    return name.rpartition("/")[0]
