"""What profiles say of every pair of neighbouring choices: tables to search offline."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.offline.actions import ActionNumbers
from npu_tune.samplers.offline.settings import OfflineSettings

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Observations:
    """Rows of profiles of one network setting.

    Args:
        actions: per layer its observed choices.
        taken: the number of every layer's choice; of shape (trials, layers).
        values: of shape (trials, layers, columns).
    """

    actions: Sequence[ActionNumbers]
    taken: Numbers
    values: Floats

    @cached_property
    def before(self) -> Numbers:
        """The number of the choice before every layer; 0 before the first one."""
        return np.concatenate([np.zeros_like(self.taken[:, :1]), self.taken[:, :-1]], axis=1)

    @cached_property
    def scales(self) -> Floats:
        """Mean cost of every layer, by column; of shape (layers, columns)."""
        return np.asarray(np.maximum(np.abs(self.values).mean(axis=0), 1e-300))


@dataclass(frozen=True)
class PairTables:
    """Per layer what it costs, by the choice before it and its own, conversions included.

    Args:
        costs: per layer of shape (choices before, choices, columns); one choice stands before the
            first layer. The columns of all layers are added up.
        seen: per layer how often the two choices were seen side by side.
        scale: per layer its mean cost in the first column.
    """

    costs: tuple[Floats, ...]
    seen: tuple[Floats, ...]
    scale: Floats

    def totals(self, path: Sequence[int]) -> Floats:
        """Predicted totals of a walk through the layers, by column."""
        before, total = 0, np.zeros(self.costs[0].shape[2])
        for table, action in zip(self.costs, path, strict=True):
            total = total + table[before, action]
            before = action
        return total


def pair_tables(
    seen: Observations, settings: OfflineSettings, *, noise: float, behind: bool = True
) -> PairTables:
    """Predicts what every pair of neighbouring choices costs.

    A row of a layer is taken for a sum: of its own choice, of the pair with the layer before, and
    of the pair with the layer behind. The parts are means of a Gaussian process whose kernel says
    the same, so that pairs that were observed are met, and others follow from like choices. What
    it starts from is what the same pair of choices costs in other layers, relative to these.

    Args:
        seen: what was observed.
        settings: of the sampler.
        noise: relative standard deviation of a row.
        behind: whether the layer behind counts too; then rows are shared out over two tables.
    """
    model = _PairModel(seen, settings, max(noise, settings.least_noise))
    sizes = [1, *map(len, seen.actions)]
    shapes = list(itertools.pairwise(sizes))
    costs = [np.zeros((*shape, seen.values.shape[2])) for shape in shapes]
    times = [np.zeros(shape) for shape in shapes]
    for at in range(len(seen.actions)):
        np.add.at(times[at], (seen.before[:, at], seen.taken[:, at]), 1.0)
        own, parts = model.fit(at, behind=behind)
        costs[at] += own
        for place, part in parts.items():
            costs[max(at, place)] += part if place < at else part.transpose(1, 0, 2)
    return PairTables(tuple(costs), tuple(times), seen.scales[:, 0])


class _PairModel:
    """The Gaussian processes of all layers."""

    def __init__(self, seen: Observations, settings: OfflineSettings, noise: float) -> None:
        self._seen = seen
        self._settings = settings
        self._noise = noise
        self._alike = [actions.likeness() for actions in seen.actions]
        self._shared = _SharedConversions(seen, settings)

    def fit(self, at: int, *, behind: bool) -> tuple[Floats, dict[int, Floats]]:
        """Parts of a layer's row: by its own choice, and by neighbour with the neighbour's.

        Returns:
            of shape (choices, columns), and by the neighbour's index of shape (its choices,
            choices, columns).
        """
        seen, alike = self._seen, self._alike[at]
        near = [at - 1, at + 1] if behind else [at - 1]
        near = [place for place in near if 0 <= place < len(seen.actions)]
        contexts, index, repeats = np.unique(
            seen.taken[:, [at, *near]], axis=0, return_inverse=True, return_counts=True
        )
        left = np.zeros((len(contexts), seen.values.shape[2]))
        np.add.at(left, index.reshape(-1), seen.values[:, at])
        left /= repeats[:, None] * seen.scales[at]
        own = contexts[:, 0]
        kernel = alike + self._settings.own_share * np.eye(len(alike))
        gram = kernel[np.ix_(own, own)]
        parts: dict[int, Floats] = {}
        for place, theirs in zip(near, contexts.T[1:], strict=True):
            gram = gram + self._pair_kernel(place, at, theirs, own)
            parts[place] = self._shared(place, at)
            left = left - parts[place][theirs, own]
        offset = left.mean(axis=0)
        gram[np.diag_indices_from(gram)] += self._noise**2 / repeats
        alpha = np.linalg.solve(gram, left - offset)
        for place, theirs in zip(near, contexts.T[1:], strict=True):
            parts[place] = parts[place] + self._pair_means(place, at, theirs, own, alpha)
        scale = seen.scales[at]
        means = scale * (offset + kernel[:, own] @ alpha)
        return means, {place: scale * part for place, part in parts.items()}

    def _pair_kernel(self, place: int, at: int, theirs: Numbers, own: Numbers) -> Floats:
        settings = self._settings
        alike = self._alike[place][np.ix_(theirs, theirs)] * self._alike[at][np.ix_(own, own)]
        same = (theirs[:, None] == theirs[None, :]) & (own[:, None] == own[None, :])
        return np.asarray(settings.pair_variance * (alike + settings.own_share * same))

    def _pair_means(
        self, place: int, at: int, theirs: Numbers, own: Numbers, alpha: Floats
    ) -> Floats:
        """The part of the prediction that a pair makes; of shape (other's, own, columns)."""
        result = np.einsum(
            "pi,ic,ia->pac",
            self._alike[place][:, theirs],
            alpha,
            self._alike[at][own],
            optimize=True,
        )
        np.add.at(result, (theirs, own), self._settings.own_share * alpha)
        return np.asarray(self._settings.pair_variance * result)


class _SharedConversions:
    """What pairs of choices cost in other layers, relative to what these cost."""

    def __init__(self, seen: Observations, settings: OfflineSettings) -> None:
        names: dict[object, int] = {}
        self._labels = [
            np.array([names.setdefault(label, len(names)) for label in actions.labels()])
            for actions in seen.actions
        ]
        self._columns = seen.values.shape[2]
        self._means: dict[bool, Floats] | None = None
        if len(names) > settings.most_shared:
            return
        self._means = {
            is_before: self._mean(seen, len(names), is_before=is_before)
            for is_before in (True, False)
        }

    def _mean(self, seen: Observations, count: int, *, is_before: bool) -> Floats:
        sums = np.zeros((count, count, self._columns))
        times = np.ones((count, count, 1))
        places = range(1, len(seen.actions)) if is_before else range(len(seen.actions) - 1)
        for at in places:
            place = at - 1 if is_before else at + 1
            values = seen.values[:, at]
            own = seen.taken[:, at]
            repeats = np.maximum(np.bincount(own, minlength=len(seen.actions[at])), 1)
            mean = np.zeros((len(repeats), self._columns))
            np.add.at(mean, own, values)
            scale = np.maximum(np.abs(values).mean(axis=0), 1e-300)
            rest = (values - (mean / repeats[:, None])[own]) / scale
            # Half of it goes with either neighbour, who mostly choose alike.
            where = self._labels[place][seen.taken[:, place]], self._labels[at][own]
            np.add.at(sums, where, rest / 2.0)
            np.add.at(times, where, 1.0)
        return np.asarray(sums / times)

    def __call__(self, place: int, at: int) -> Floats:
        theirs, mine = self._labels[place], self._labels[at]
        if self._means is None:
            return np.zeros((len(theirs), len(mine), self._columns))
        return np.asarray(self._means[place < at][np.ix_(theirs, mine)])
