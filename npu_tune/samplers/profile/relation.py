"""How the objectives come out of the profile: which columns, added up how, with which factor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.history import Floats
from npu_tune.samplers.profile.profiles import LARGEST, MAX, SUM, Profiles
from npu_tune.samplers.profile.surrogate import Figure

_WORTHWHILE = 0.8
"""A further figure must leave no more than this share of what was unexplained before."""

_EXACT = 1e-4
"""The share of a score's variance that need not be explained."""

_PREFERRED = "cycles"
"""The column every target has; among columns that explain equally much it is taken."""

_PULL = 0.3
"""How much the effects of the network's parameters are drawn to 0, in trials."""


@dataclass(frozen=True)
class Relation:
    """A score as a sum of figures added up over the layers, each with a positive factor.

    Args:
        factors: by figure.
        network: per parameter of the network that has several values, what each adds.
        explained: the share of the score's variance that this explains.
    """

    factors: dict[Figure, float]
    network: tuple[Floats, ...] = ()
    explained: float = 0.0

    def part(self, kind: int) -> dict[Figure, float]:
        """The figures that are added up in one way."""
        return {figure: f for figure, f in self.factors.items() if figure.kind == kind}


def relate(profiles: Profiles, scores: Floats) -> Relation:
    """Fits a score to the profiles' totals, trials with better scores counting more.

    At most one sum, one maximum and one figure more are taken. A relation without a sum is no
    use, so it has the cycles' at least.

    Args:
        profiles: of the trials.
        scores: per trial that has a profile, lower is better; infinite ones do not count.
    """
    figures = [Figure(c, kind) for c in range(len(profiles.columns)) for kind in (SUM, MAX)]
    usable = np.abs(scores) <= LARGEST
    scores = scores[usable]
    scale = float(scores.std()) if len(scores) > 1 else 0.0
    if scale <= 1e-12 * max(float(np.abs(scores).max(initial=0)), 1e-300):
        return _default(profiles, figures)
    totals: Floats = np.stack([profiles.totals(SUM), profiles.totals(MAX)], axis=2)[usable]
    regression = _Regression.of(
        totals.reshape(len(scores), len(figures)), profiles.network()[usable], scores, scale
    )
    chosen = _chosen(regression, figures, profiles)
    if not chosen:
        return _default(profiles, figures)
    fit = regression.fit(chosen)
    factors = {figures[i]: f for i, f in zip(chosen, fit.factors, strict=True)}
    bare = regression.fit(()).rest
    return Relation(factors, fit.network, 1.0 - fit.rest / bare if bare else 0.0)


def _default(profiles: Profiles, figures: Sequence[Figure]) -> Relation:
    first = min((f for f in figures if f.kind == SUM), key=lambda f: _rank(profiles, f))
    return Relation({first: 1.0})


def _chosen(
    regression: _Regression, figures: Sequence[Figure], profiles: Profiles
) -> tuple[int, ...]:
    """The figures by number: a sum, a maximum if that helps, another one if that helps."""
    enough = _EXACT * regression.fit(()).rest
    sums = [i for i in regression.varying if figures[i].kind == SUM]
    peaks = [i for i in regression.varying if figures[i].kind == MAX]

    def best(options: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], float]:
        fits = [(option, regression.fit(option)) for option in options]
        allowed = [(o, f.rest) for o, f in fits if all(factor > 0 for factor in f.factors)]
        least = min((rest for _, rest in allowed), default=np.inf)
        near = [(o, rest) for o, rest in allowed if rest <= 1.05 * least + enough]
        return min(
            near,
            key=lambda each: [_rank(profiles, figures[i]) for i in each[0]],
            default=((), least),
        )

    chosen, rest = best([(i,) for i in sums])
    for options in (
        list(itertools.product(sums, peaks)),
        [(*chosen, i) for i in regression.varying if i not in chosen],
    ):
        further, less = best(options)
        if rest > enough and less <= _WORTHWHILE * rest:
            chosen, rest = further, less
    return chosen


@dataclass(frozen=True)
class _Fit:
    factors: tuple[float, ...]
    network: tuple[Floats, ...]
    rest: float


@dataclass(frozen=True)
class _Regression:
    """Weighted least squares over any of the columns, set up once.

    Args:
        normal: of all columns, the constant and the target, weighted.
        scale: of the columns.
        widths: of the network's parameters, whose values stand behind the columns.
        varying: the columns that are not constant.
    """

    normal: Floats
    scale: Floats
    widths: tuple[int, ...]
    varying: tuple[int, ...]

    @classmethod
    def of(
        cls, columns: Floats, network: NDArray[np.int64], scores: Floats, spread: float
    ) -> _Regression:
        scale = np.maximum(np.abs(columns).max(axis=0), 1e-300)
        columns = columns / scale
        widths = tuple(int(w) for w in network.max(axis=0) + 1)
        hot = [network[:, [i]] == np.arange(width) for i, width in enumerate(widths)]
        design = np.concatenate(
            [columns, *hot, np.ones((len(scores), 1)), scores[:, None]], axis=1
        )
        weighted = design * np.sqrt(0.05 + np.exp(-(scores - scores.min()) / spread))[:, None]
        varying = tuple(int(i) for i in np.flatnonzero(columns.std(axis=0) > 1e-9))
        return cls(weighted.T @ weighted, scale, widths, varying)

    def fit(self, chosen: Sequence[int]) -> _Fit:
        start, end = len(self.scale), len(self.normal) - 1
        used = np.array([*chosen, *range(start, end)], dtype=np.int64)
        normal = self.normal[np.ix_(used, used)].copy()
        pull = np.full(len(used), 1e-9 * max(float(self.normal[-2, -2]), 1.0))
        pull[len(chosen) : -1] = _PULL
        normal[np.diag_indices_from(normal)] += pull
        right = self.normal[used, end]
        solved = np.linalg.solve(normal, right)
        rest = float(
            self.normal[end, end]
            - 2 * solved @ right
            + solved @ self.normal[np.ix_(used, used)] @ solved
        )
        at = len(chosen)
        network = (
            tuple(np.split(solved[at:-1], np.cumsum(self.widths)[:-1])) if self.widths else ()
        )
        factors = tuple(float(f) for f in solved[:at] / self.scale[list(chosen)])
        return _Fit(factors, network, max(rest, 0.0))


def _rank(profiles: Profiles, figure: Figure) -> tuple[bool, int, int]:
    return profiles.columns[figure.column] != _PREFERRED, figure.kind, figure.column
