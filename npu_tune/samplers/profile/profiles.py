"""Profiles of a study's trials as tables: what each layer cost under which choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from npu_tune.samplers.arrays import Floats, GrowingColumn, GrowingTable, Integers
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Choice, LayeredSpace, Point, is_reserved
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.slots import Slots

SUM, MAX = 0, 1
"""The two ways to aggregate a column over layers."""

LARGEST = 1e100
"""Larger numbers mark a failure and are no costs; they would overflow."""

Rows = Mapping[str, Mapping[str, float]]

Run: TypeAlias = tuple[int, int]
"""Places of the first and the last of layers that ran together."""


class Profiles:
    """The profiles of completed trials, for each layer that has rows and parameters.

    Rows of a profile without parameters of their own count for the layer before them. As
    neighbours a layer has the layers before and after it in the order of the first profile.

    Args:
        space: of the study.
        key: the user attribute under which trials carry their profile.
        cost_column: the column that is preferred where several explain an objective equally well.
        group_column: the column with one value in neighbouring rows of layers that ran together;
            None where there is none.
        settings: of the sampler.
        is_noisy: whether layers cost more or less from trial to trial.
        keeps_contexts: False to save room where nobody asks for what surrounded a layer:
            ``contexts`` and ``distinct`` are not to be used then.

    Attributes:
        layers: indices of the layers that have rows, in the order of the profile.
        columns: of the profiles, the group column left out.
        indices: of the history's points that have a profile.
        runs: per such point, the layers that ran together, in order; single ones too.
        constraints: per such point by name; above 0 where violated.
    """

    def __init__(
        self,
        space: LayeredSpace,
        key: str,
        *,
        cost_column: str = "cycles",
        group_column: str | None = "epoch",
        settings: LayerProfileSettings = LayerProfileSettings(),  # noqa: B008 - a frozen value
        is_noisy: bool = False,
        keeps_contexts: bool = True,
    ) -> None:
        self.space = space
        self.cost_column = cost_column
        self._key = key
        self._group_column = group_column
        self._settings = settings
        self._is_noisy = is_noisy
        self._keeps_contexts = keeps_contexts
        self._read = 0
        self.layers: tuple[int, ...] = ()
        self.columns: tuple[str, ...] = ()
        self.indices: list[int] = []
        self.points: list[Point] = []
        self.runs: list[tuple[Run, ...]] = []
        self.constraints: list[Mapping[str, float]] = []
        self._numbers: dict[Point, int] = {}
        self._slots: Slots | None = None
        self._places: dict[str, int] = {}
        self._costs: list[Floats] = []
        # The costs once more by column and kind, of those that were asked for.
        self._columns: dict[tuple[int, int], GrowingTable] = {}
        self._totals = self._network = GrowingTable(0)
        # In the smallest type that holds every choice: with many trials they are the most of all.
        self._contexts: list[NDArray[np.signedinteger]] = []
        largest = max((size for sizes in space.sizes for size in sizes), default=0)
        fits = largest <= np.iinfo(np.int16).max
        self._context_type: type[np.signedinteger] = np.int16 if fits else np.int64
        self._shared: dict[Any, Any] = {}
        # Per layer the trials of the distinct contexts seen, in order: the first of each context.
        self.distinct: list[GrowingColumn] = []
        self._seen: list[dict[bytes, int]] = []
        # Of noisy trials: per layer, by the first trial of a context, all trials with it.
        self._alike: list[dict[int, list[int]]] = []

    def read(
        self, history: History, trials: Sequence[FrozenTrial], *, most: int | None = None
    ) -> None:
        """Adds the points that are new in the history.

        Args:
            history: the trials as points.
            trials: of the study.
            most: how many profiles are read altogether; None for all.
        """
        for index in range(self._read, len(history.points)):
            if most is not None and len(self) >= most:
                break
            if np.isnan(history.values[index]).any():
                continue
            trial = trials[history.numbers[index]]
            rows = unpack_profile(trial.user_attrs.get(self._key))
            if rows and self._add(index, history.points[index], rows):
                self.constraints.append(trial.constraints)
        self._read = len(history.points)

    def __len__(self) -> int:
        return len(self.indices)

    def totals(self, kind: int) -> Floats:
        """Per trial and column, the sum or the maximum over the rows."""
        return self.both_totals()[:, :, kind]

    def both_totals(self) -> Floats:
        """Per trial and column, ``SUM`` and ``MAX`` over the rows."""
        return self._totals.array.reshape(len(self), len(self.columns), 2)

    def total(self, number: int, column: int, kind: int) -> float:
        """Of one trial and column, the sum or the maximum over the rows."""
        return float(self._totals.array[number, 2 * column + kind])

    def network(self) -> NDArray[np.int64]:
        """Per trial the values of the network-wide parameters; of shape (trials, parameters)."""
        return self._network.array.astype(np.int64)

    def costs(
        self, place: int, column: int, kind: int, numbers: Sequence[int] | Integers
    ) -> Floats:
        """A column of one layer in some of the trials."""
        table = self._columns.setdefault((column, kind), GrowingTable(len(self.layers)))
        for number in range(len(table), len(self)):
            table.append(self._costs[number][:, column, kind])
        return np.asarray(table.array[np.asarray(numbers, dtype=np.int64), place])

    def mean_costs(
        self, place: int, column: int, kind: int, numbers: Sequence[int] | Integers, until: int
    ) -> Floats:
        """``costs``, of noisy trials the mean over trials before ``until`` in the same context.

        Args:
            place: of the layer.
            column: of the profile.
            kind: ``SUM`` or ``MAX``.
            numbers: the first trials of contexts.
            until: a number of trials, so that the mean does not depend on later ones.
        """
        if not self._is_noisy:
            return self.costs(place, column, kind, numbers)
        means = []
        for number in map(int, numbers):
            alike = [n for n in self._alike[place].get(number, ()) if n < until] or [number]
            means.append(np.mean([self._costs[n][place, column, kind] for n in alike]))
        return np.array(means)

    def rows(self, number: int) -> Floats:
        """The rows of one trial; of shape (layers, columns, 2), by ``SUM`` and ``MAX``."""
        return self._costs[number]

    def over(self, run: Run, kind: int, number: int) -> Floats:
        """Per column, the sum or the maximum over a run of layers in one trial."""
        costs = self._costs[number][run[0] : run[1] + 1, :, kind]
        return np.asarray(costs.sum(axis=0) if kind == SUM else costs.max(axis=0))

    def contexts(self, place: int, numbers: Sequence[int]) -> NDArray[np.int64]:
        """The choices around a layer in some of the trials; see :class:`Slots`."""
        if not numbers:
            return np.zeros((0, self.slots.width), dtype=np.int64)
        return np.array([self._contexts[number][place] for number in numbers], dtype=np.int64)

    def number_of(self, point: Point) -> int | None:
        """The trial of a point; None where it has no profile."""
        return self._numbers.get(point)

    def choice(self, place: int, number: int) -> Choice:
        """The choice of a layer in a trial."""
        return self.points[number][self.layers[place]]

    @property
    def slots(self) -> Slots:
        """What costs may depend on; known from the first profile on."""
        if self._slots is None:
            raise RuntimeError("no profile has been read")
        return self._slots

    def _start(self, point: Point, rows: Rows) -> bool:
        """Sets layers and columns from the first profile; False where it has none of use."""
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        if self._group_column is not None:
            columns.pop(self._group_column, None)
        known = {name: i for i, name in enumerate(self.space.names) if self.space.choices[i] > 1}
        found = [name for name in rows if name in known and not is_reserved(name)]
        if not columns or not found:
            return False
        self.columns = tuple(columns)
        self.layers = tuple(known[name] for name in found)
        self._places = {name: place for place, name in enumerate(found)}
        self._slots = Slots(self.space, self.layers, self._settings)
        self._totals = GrowingTable(2 * len(self.columns))
        self._network = GrowingTable(len(self._slots.network_row(point)), self._context_type)
        self.distinct = [GrowingColumn() for _ in found]
        self._seen = [{} for _ in found]
        self._alike = [{} for _ in found]
        return True

    def _add(self, index: int, point: Point, rows: Rows) -> bool:
        """Adds a trial; False where its profile is of no use."""
        if self._slots is None and not self._start(point, rows):
            return False
        costs = np.zeros((len(self.layers), len(self.columns), 2))
        groups: list[float | None] = [None] * len(self.layers)
        place = 0
        for name, row in rows.items():
            if name in self._places:
                place = self._places[name]
                if self._group_column is not None:
                    groups[place] = row.get(self._group_column)
            values = np.array([row.get(column, 0.0) for column in self.columns])
            costs[place, :, SUM] += values
            costs[place, :, MAX] = np.maximum(costs[place, :, MAX], values)
        if not np.isfinite(costs).all():
            return False
        number = len(self.indices)
        self.indices.append(index)
        self.points.append(point)
        runs = tuple([self._shared.setdefault(run, run) for run in _runs(groups)])
        self.runs.append(self._shared.setdefault(runs, runs))
        self._numbers[point] = number
        self._costs.append(_compact(costs))
        totals = np.stack([costs[:, :, SUM].sum(axis=0), costs[:, :, MAX].max(axis=0)], axis=1)
        self._totals.append(totals.ravel())
        self._network.append(self.slots.network_row(point))
        if self._keeps_contexts:
            self._add_contexts(number, point)
        return True

    def _add_contexts(self, number: int, point: Point) -> None:
        contexts = self.slots.contexts(point).astype(self._context_type)
        self._contexts.append(contexts)
        for at, context in enumerate(contexts):
            key = context.tobytes()
            first = self._seen[at].setdefault(key, number)
            if first == number:
                self.distinct[at].append(number)
            if self._is_noisy:
                self._alike[at].setdefault(first, []).append(number)


def _compact(costs: Floats) -> Floats:
    """The same costs in half the room where every layer has one row, so that sum and maximum agree."""
    if not np.array_equal(costs[:, :, SUM], costs[:, :, MAX]):
        return costs
    return np.broadcast_to(costs[:, :, :1].copy(), costs.shape)


def _runs(groups: Sequence[float | None]) -> tuple[Run, ...]:
    """Neighbouring places with the same number; places without one stand alone."""
    starts = [
        place
        for place, group in enumerate(groups)
        if place == 0 or group is None or group != groups[place - 1]
    ]
    return tuple(zip(starts, [start - 1 for start in (*starts[1:], len(groups))], strict=True))


def unpack_profile(packed: Any) -> Rows:
    """Reads a trial's profile as rows of numbers by column; empty where it cannot be read.

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
