"""Profiles as rows per layer, and what a unit of them adds to the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.space import NETWORK_SCOPE, SearchSpace

Profile = Mapping[str, Mapping[str, float]]
Floats = NDArray[np.float64]

_ENOUGH = 4
"""Fewer trials tell nothing of peaks."""

_HELPS = 0.7
"""A peak counts where it leaves at most this share of what the sum alone leaves unexplained."""


_EXACT = 1e-9
"""Of the costs' variance: where the sum leaves less unexplained than that, no peak is looked for."""


class RowTable:
    """Reads profiles into tables of one row per layer with knobs.

    Rows of layers without knobs count for the one before them.

    Args:
        layers: in the order in which they are run; the network's own scope is passed over.
        columns: of the profiles, that of costs first.
        group: the column that tells which layers ran together; None where there is none.
    """

    def __init__(self, layers: Sequence[str], columns: Sequence[str], group: str | None) -> None:
        self.layers = tuple(layer for layer in layers if layer != NETWORK_SCOPE)
        self.columns = tuple(columns)
        self._group = group
        self._places = {layer: place for place, layer in enumerate(self.layers)}

    @classmethod
    def of(
        cls, space: SearchSpace, profile: Profile, *, cost: str, group: str | None = None
    ) -> RowTable:
        """A table with the columns that a profile has."""
        found = dict.fromkeys(column for row in profile.values() for column in row)
        others = [column for column in found if column not in (cost, group)]
        return cls(space.layers, (cost, *others), group)

    def read(self, profile: Profile) -> Floats:
        """By layer and column: costs as sums, the rest as the largest of a layer's rows."""
        table = np.zeros((len(self.layers), len(self.columns)))
        place = 0
        for name, row in profile.items():
            place = self._places.get(name, place)
            values = np.array([float(row.get(column, 0.0)) for column in self.columns])
            total = table[place, 0] + values[0]
            table[place] = np.maximum(table[place], values)
            table[place, 0] = total
        return table

    def runs(self, profile: Profile) -> list[range]:
        """By layer, the places of the layers that ran together with it, itself among them."""
        count = len(self.layers)
        groups: list[float | None] = [None] * count
        if self._group is not None:
            for name, row in profile.items():
                if name in self._places:
                    groups[self._places[name]] = row.get(self._group)
        found: list[range] = []
        start = 0
        for place in range(1, count + 1):
            if place == count or groups[place] is None or groups[place] != groups[start]:
                found += [range(start, place)] * (place - start)
                start = place
        return found


@dataclass(frozen=True)
class RowWeights:
    """A cost as a weighted sum of what layers cost and of one peak over layers.

    Args:
        unit: what a unit of a layer's cost adds.
        peak: what a unit of the peak adds; 0 where no peak counts.
        column: number of the peak's column.
    """

    unit: float
    peak: float = 0.0
    column: int = 0

    def change(
        self, before: Floats, after: Floats, places: Sequence[int], rise: float = 0.0
    ) -> float:
        """By how much the cost changes where some layers' rows change.

        Args:
            before: all rows.
            after: all rows, of which those of the layers count.
            places: of the layers.
            rise: of the peak's column in layers that did not change; see :meth:`rise`.
        """
        at = list(places)
        change = self.unit * float((after[at, 0] - before[at, 0]).sum())
        if self.peak:
            peaks = before[:, self.column].copy()
            peaks[at] = after[at, self.column] - rise
            change += self.peak * float(peaks.max() - before[:, self.column].max())
        return change

    def rise(self, before: Floats, after: Floats) -> float:
        """By how much the peak's column rises in most layers alike.

        So does the memory of what stays in it all the time; it says nothing of where it comes from.

        Args:
            before: all rows.
            after: all rows.
        """
        return float(np.median(after[:, self.column] - before[:, self.column]))


def weigh_rows(tables: Sequence[Floats], costs: Sequence[float]) -> RowWeights | None:
    """Fits costs to profiles, better trials counting more; None where they do not tell.

    Args:
        tables: a profile each.
        costs: of the same trials.
    """
    if len(tables) < _ENOUGH:
        return None
    target = np.array(costs)
    spread = float(target.std())
    stacked = np.stack(tables)
    sums, peaks = stacked[:, :, 0].sum(axis=1), stacked.max(axis=1)
    if spread <= 0 or sums.std() <= 0:
        return None
    trust = np.sqrt(0.05 + np.exp(-(target - target.min()) / spread))

    def fit(*features: Floats) -> tuple[float, list[float]]:
        scales = [float(np.abs(feature).max()) or 1.0 for feature in features]
        scaled = [feature / scale for feature, scale in zip(features, scales, strict=True)]
        design = np.stack([*scaled, np.ones(len(target))], axis=1) * trust[:, None]
        solved = np.linalg.lstsq(design, target * trust, rcond=None)[0]
        rest = float(((design @ solved - target * trust) ** 2).sum())
        return rest, [float(x) / s for x, s in zip(solved, scales, strict=False)]

    alone, (unit,) = fit(sums)
    best, found = alone * _HELPS, RowWeights(max(unit, 0.0))
    if alone <= _EXACT * spread**2:
        best = 0.0
    for column in range(peaks.shape[1]):
        if peaks[:, column].std() > 0:
            rest, (per_unit, per_peak) = fit(sums, peaks[:, column])
            if rest < best and per_unit > 0 and per_peak > 0:
                best, found = rest, RowWeights(per_unit, per_peak, column)
    return found if found.unit > 0 else None
