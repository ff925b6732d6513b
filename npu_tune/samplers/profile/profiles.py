"""Profiles of a study's trials as tables: what each layer cost under which choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from npu_tune.samplers.history import Floats, History
from npu_tune.samplers.layers import NETWORK_LAYER, Choice, LayeredSpace, Parameter, Point

SUM, MAX = 0, 1
"""The two ways in which rows add up to a total."""

REACH = 2
"""How many layers away another one may be that a layer's cost depends on."""

LARGEST = 1e100
"""Anything beyond is no cost but a mark of failure, and would overflow."""

TOGETHER = "epoch"
"""The column whose figure is the same in neighbouring rows of layers that ran together."""

Rows = Mapping[str, Mapping[str, float]]

Run: TypeAlias = tuple[int, int]
"""Places of the first and the last of layers that ran together."""


class Profiles:
    """What the profiles of completed trials say, for each layer that has rows and parameters.

    Rows of a profile without parameters of their own count for the layer before them. As
    neighbours a layer has the layers before and after it in the order of the first profile.

    Args:
        space: of the study.
        key: the user attribute under which trials carry their profile.

    Attributes:
        layers: indices of the layers that have rows, in the order of the profile.
        columns: of the profiles.
        indices: of the history's points that have a profile.
        runs: per such point, the layers that ran together, in order; single ones too.
    """

    def __init__(self, space: LayeredSpace, key: str) -> None:
        self.space = space
        self._key = key
        self._read = 0
        self.layers: tuple[int, ...] = ()
        self.columns: tuple[str, ...] = ()
        self.indices: list[int] = []
        self.points: list[Point] = []
        self.runs: list[tuple[Run, ...]] = []
        self._numbers: dict[Point, int] = {}
        self._slots: Slots | None = None
        self._places: dict[str, int] = {}
        self._figures: list[Floats] = []
        self._totals: list[Floats] = []
        self._contexts: list[NDArray[np.int64]] = []
        # Per layer the distinct contexts seen, in order: context and the number of its trial.
        self.distinct: list[list[int]] = []
        self._seen: list[dict[bytes, int]] = []

    def read(self, history: History, trials: Sequence[FrozenTrial]) -> None:
        """Takes in the points that are new in the history."""
        for index in range(self._read, len(history.points)):
            if np.isnan(history.values[index]).any():
                continue
            rows = unpacked(trials[history.numbers[index]].user_attrs.get(self._key))
            if rows:
                self._add(index, history.points[index], rows)
        self._read = len(history.points)

    def __len__(self) -> int:
        return len(self.indices)

    def totals(self, kind: int) -> Floats:
        """Per trial and column, the sum or the maximum over the rows."""
        return np.array([total[:, kind] for total in self._totals])

    def network(self) -> NDArray[np.int64]:
        """Per trial the network's parameters."""
        return np.array([rows[0, self.slots.network_start :] for rows in self._contexts])

    def figure(self, place: int, column: int, kind: int, numbers: Sequence[int]) -> Floats:
        """A column of one layer in some of the trials."""
        return np.array([self._figures[number][place, column, kind] for number in numbers])

    def over(self, run: Run, kind: int, number: int) -> Floats:
        """Per column, the sum or the maximum over a run of layers in one trial."""
        figures = self._figures[number][run[0] : run[1] + 1, :, kind]
        return np.asarray(figures.sum(axis=0) if kind == SUM else figures.max(axis=0))

    def contexts(self, place: int, numbers: Sequence[int]) -> NDArray[np.int64]:
        """The choices around a layer in some of the trials; see :class:`Slots`."""
        if not numbers:
            return np.zeros((0, self.slots.width), dtype=np.int64)
        return np.array([self._contexts[number][place] for number in numbers])

    def observed(self, place: int, context: NDArray[np.int64]) -> int | None:
        """The trial in which a layer had the same choices around it."""
        return self._seen[place].get(context.tobytes())

    def number_of(self, point: Point) -> int | None:
        """The trial of a point; None where it has no profile."""
        return self._numbers.get(point)

    def choice(self, place: int, number: int) -> Choice:
        """What was chosen for a layer in a trial."""
        return self.points[number][self.layers[place]]

    @property
    def slots(self) -> Slots:
        """What figures may depend on; known from the first profile on."""
        if self._slots is None:
            raise RuntimeError("no profile has been read")
        return self._slots

    def _start(self, rows: Rows) -> bool:
        """Settles layers and columns; False where a profile has none that say anything."""
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        columns.pop(TOGETHER, None)
        known = {name: i for i, name in enumerate(self.space.names) if self.space.choices[i] > 1}
        found = [name for name in rows if name in known and name != NETWORK_LAYER]
        if not columns or not found:
            return False
        self.columns = tuple(columns)
        self.layers = tuple(known[name] for name in found)
        self._places = {name: place for place, name in enumerate(found)}
        self._slots = Slots(self.space, self.layers)
        self.distinct = [[] for _ in found]
        self._seen = [{} for _ in found]
        return True

    def _add(self, index: int, point: Point, rows: Rows) -> None:
        if self._slots is None and not self._start(rows):
            return
        figures = np.zeros((len(self.layers), len(self.columns), 2))
        epochs: list[float | None] = [None] * len(self.layers)
        place = 0
        for name, row in rows.items():
            if name in self._places:
                place = self._places[name]
                epochs[place] = row.get(TOGETHER)
            values = np.array([row.get(column, 0.0) for column in self.columns])
            figures[place, :, SUM] += values
            figures[place, :, MAX] = np.maximum(figures[place, :, MAX], values)
        if not np.isfinite(figures).all():
            return
        number = len(self.indices)
        self.indices.append(index)
        self.points.append(point)
        self.runs.append(_runs(epochs))
        self._numbers[point] = number
        self._figures.append(figures)
        totals = np.stack([figures[:, :, SUM].sum(axis=0), figures[:, :, MAX].max(axis=0)], axis=1)
        self._totals.append(totals)
        contexts = self.slots.contexts(point)
        self._contexts.append(contexts)
        for at, context in enumerate(contexts):
            key = context.tobytes()
            if key not in self._seen[at]:
                self._seen[at][key] = number
                self.distinct[at].append(number)


class Slots:
    """What the cost of a layer may depend on, as a row of numbers: a context.

    A slot is a parameter of the layer itself, of the layer before or behind it, or of the
    network. The same parameter of two layers stands in the same slot.

    Args:
        space: of the study.
        layers: in the order in which they are neighbours.

    Attributes:
        width: how many slots there are.
        parameters: per layer and slot the parameter, or None where the layer has none there.
        own: the slots of the layer's own parameters come first; how many they are.
    """

    def __init__(self, space: LayeredSpace, layers: Sequence[int]) -> None:
        self.layers = tuple(layers)
        self.network = space.names.index(NETWORK_LAYER) if NETWORK_LAYER in space.names else None
        names: dict[str, int] = {}
        for layer in layers:
            for parameter in space.layers[layer]:
                if parameter.size > 1:
                    names.setdefault(parameter.short_name, len(names))
        self.own = len(names)
        network = space.layers[self.network] if self.network is not None else ()
        self._network = [(i, p) for i, p in enumerate(network) if p.size > 1]
        self.blocks = (0, *(sign * step for step in range(1, REACH + 1) for sign in (-1, 1)))
        self.network_start = len(self.blocks) * self.own
        self.width = self.network_start + len(self._network)
        # Per layer: where in its choice stands what goes to which of its own slots.
        self.places: list[list[tuple[int, int]]] = [
            [(i, names[p.short_name]) for i, p in enumerate(space.layers[layer]) if p.size > 1]
            for layer in layers
        ]
        self.parameters: list[list[Parameter | None]] = []
        for at in range(len(layers)):
            row: list[Parameter | None] = [None] * self.width
            for block, step in enumerate(self.blocks):
                other = at + step
                if 0 <= other < len(layers):
                    for i, slot in self.places[other]:
                        row[block * self.own + slot] = space.layers[layers[other]][i]
            for slot, (_, parameter) in enumerate(self._network):
                row[self.network_start + slot] = parameter
            self.parameters.append(row)

    def own_rows(self, at: int, choices: Sequence[Choice]) -> NDArray[np.int64]:
        """Choices of one layer as its own slots; -1 where it has no parameter."""
        rows = np.full((len(choices), self.own), -1, dtype=np.int64)
        places = np.array(self.places[at])
        rows[:, places[:, 1]] = np.array(choices)[:, places[:, 0]]
        return rows

    def network_row(self, point: Point) -> NDArray[np.int64]:
        """The network's parameters of a point."""
        if self.network is None:
            return np.zeros(0, dtype=np.int64)
        return np.array([point[self.network][i] for i, _ in self._network], dtype=np.int64)

    def contexts(self, point: Point) -> NDArray[np.int64]:
        """Per layer its row of slots."""
        count, own = len(self.layers), self.own
        rows = np.full((count, self.width), -1, dtype=np.int64)
        for at, layer in enumerate(self.layers):
            rows[at, :own] = self.own_rows(at, [point[layer]])[0]
        for block, step in enumerate(self.blocks[1:], start=1):
            here = slice(max(-step, 0), count - max(step, 0))
            there = slice(max(step, 0), count - max(-step, 0))
            rows[here, block * own : (block + 1) * own] = rows[there, :own]
        rows[:, self.network_start :] = self.network_row(point)
        return rows


def _runs(epochs: Sequence[float | None]) -> tuple[Run, ...]:
    """Neighbouring places with the same number; places without one stand alone."""
    starts = [
        place
        for place, epoch in enumerate(epochs)
        if place == 0 or epoch is None or epoch != epochs[place - 1]
    ]
    return tuple(zip(starts, [start - 1 for start in (*starts[1:], len(epochs))], strict=True))


def unpacked(packed: Any) -> Rows:
    """A trial's profile as rows of figures by column; empty where there is none to be read.

    It may be a table ``{"columns": [...], "rows": {layer: [...]}}`` or the rows themselves.
    """
    if not isinstance(packed, Mapping):
        return {}
    rows: Any = packed
    columns = packed.get("columns")
    if isinstance(columns, Sequence):
        rows = {
            layer: dict(zip(columns, row, strict=False))
            for layer, row in packed.get("rows", {}).items()
        }
    return {
        layer: {column: float(v) for column, v in row.items() if _is_number(v)}
        for layer, row in rows.items()
        if isinstance(row, Mapping)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= LARGEST
