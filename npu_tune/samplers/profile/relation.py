"""How the objectives follow from the profile: which columns, aggregated how, by which factors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.profile.profiles import LARGEST, MAX, SUM, Profiles
from npu_tune.samplers.profile.settings import LayerProfileSettings


@dataclass(frozen=True)
class Aggregate:
    """A column of the profile, aggregated over layers by sum or maximum.

    Args:
        column: its index.
        kind: ``SUM`` or ``MAX``.
    """

    column: int
    kind: int


@dataclass(frozen=True)
class Relation:
    """A score as a weighted sum of aggregates over the layers, with positive factors.

    Args:
        factors: by aggregate.
        network: per parameter of the network that has several values, what each adds.
        explained: the share of the score's variance that this explains.
    """

    factors: dict[Aggregate, float]
    network: tuple[Floats, ...] = ()
    explained: float = 0.0

    def plus(self, aggregate: Aggregate, factor: float) -> Relation:
        """The relation with more of one aggregate."""
        factors = {**self.factors, aggregate: self.factors.get(aggregate, 0.0) + factor}
        return replace(self, factors=factors)

    def part(self, kind: int) -> dict[Aggregate, float]:
        """The factors of the aggregates of one kind."""
        return {aggregate: f for aggregate, f in self.factors.items() if aggregate.kind == kind}


def relate(profiles: Profiles, scores: Floats, settings: LayerProfileSettings) -> Relation:
    """Fits a score to the profiles' totals, trials with better scores counting more.

    At most one sum, one maximum and one more aggregate are taken. A relation without a sum is of
    no use, so it has that of the cost column at least.

    Args:
        profiles: of the trials.
        scores: of the first trials that have a profile, lower is better; infinite ones do not
            count.
        settings: of the sampler.
    """
    aggregates = [Aggregate(c, kind) for c in range(len(profiles.columns)) for kind in (SUM, MAX)]
    count = len(scores)
    usable = np.abs(scores) <= LARGEST
    scores = scores[usable]
    scale = float(scores.std()) if len(scores) > 1 else 0.0
    if scale <= 1e-12 * max(float(np.abs(scores).max(initial=0)), 1e-300):
        return _default(profiles, aggregates)
    totals = profiles.both_totals()[:count][usable]
    regression = _Regression.of(
        totals.reshape(len(scores), len(aggregates)),
        profiles.network()[:count][usable],
        scores,
        scale,
        settings.network_pull,
    )
    chosen = _choose(regression, aggregates, profiles, settings)
    if not chosen:
        return _default(profiles, aggregates)
    fit = regression.fit(chosen)
    factors = {aggregates[i]: f for i, f in zip(chosen, fit.factors, strict=True)}
    bare = regression.fit(()).rest
    return Relation(factors, regression.network_of(fit), 1.0 - fit.rest / bare if bare else 0.0)


def _default(profiles: Profiles, aggregates: Sequence[Aggregate]) -> Relation:
    first = min((f for f in aggregates if f.kind == SUM), key=lambda f: _rank(profiles, f))
    return Relation({first: 1.0})


def _choose(
    regression: _Regression,
    aggregates: Sequence[Aggregate],
    profiles: Profiles,
    settings: LayerProfileSettings,
) -> tuple[int, ...]:
    """Numbers of the aggregates: a sum, a maximum if that helps, another one if that helps."""
    enough = settings.exact * regression.fit(()).rest
    sums = [i for i in regression.varying if aggregates[i].kind == SUM]
    peaks = [i for i in regression.varying if aggregates[i].kind == MAX]

    def best(options: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], float]:
        """Of options of the same length, the best and what it leaves unexplained."""
        fits = zip(options, regression.fits(options), strict=True)
        allowed = [(o, f.rest) for o, f in fits if all(factor > 0 for factor in f.factors)]
        least = min((rest for _, rest in allowed), default=np.inf)
        near = [(o, rest) for o, rest in allowed if rest <= 1.05 * least + enough]
        return min(
            near,
            key=lambda each: [_rank(profiles, aggregates[i]) for i in each[0]],
            default=((), least),
        )

    chosen, rest = best([(i,) for i in sums])
    pairs: list[tuple[int, ...]] = list(itertools.product(sums, peaks))
    for options in (pairs, [(*chosen, i) for i in regression.varying if i not in chosen]):
        further, less = best(options)
        if rest > enough and less <= settings.worthwhile * rest:
            chosen, rest = further, less
    return chosen


@dataclass(frozen=True)
class _Fit:
    factors: tuple[float, ...]
    network: Floats
    rest: float


@dataclass(frozen=True)
class _Regression:
    """Weighted least squares over any of the columns, set up once.

    Args:
        normal: of all columns, the constant and the target, weighted.
        scale: of the columns.
        widths: of the network's parameters, whose values stand behind the columns.
        varying: the columns that are not constant.
        network_pull: ridge penalty of the effects of the network's parameters, in trials.
    """

    normal: Floats
    scale: Floats
    widths: tuple[int, ...]
    varying: tuple[int, ...]
    network_pull: float

    @classmethod
    def of(
        cls,
        columns: Floats,
        network: NDArray[np.int64],
        scores: Floats,
        spread: float,
        network_pull: float,
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
        return cls(weighted.T @ weighted, scale, widths, varying, network_pull)

    def fit(self, chosen: Sequence[int]) -> _Fit:
        """The fit with these columns."""
        return self.fits([tuple(chosen)])[0]

    def network_of(self, fit: _Fit) -> tuple[Floats, ...]:
        """What each parameter of the network adds by a fit."""
        return tuple(np.split(fit.network, np.cumsum(self.widths)[:-1])) if self.widths else ()

    def fits(self, options: Sequence[tuple[int, ...]]) -> list[_Fit]:
        """The fit with each of several choices of equally many columns, all solved at once."""
        if not options:
            return []
        start, end, at = len(self.scale), len(self.normal) - 1, len(options[0])
        used = np.array([[*chosen, *range(start, end)] for chosen in options], dtype=np.int64)
        bare = self.normal[used[:, :, None], used[:, None, :]]
        pull = np.full(used.shape[1], 1e-9 * max(float(self.normal[-2, -2]), 1.0))
        pull[at:-1] = self.network_pull
        right = self.normal[used, end]
        solved = np.linalg.solve(bare + np.diag(pull), right[:, :, None])[:, :, 0]
        rests = (
            self.normal[end, end]
            - 2 * np.einsum("ij,ij->i", solved, right)
            + np.einsum("ij,ijk,ik->i", solved, bare, solved)
        )
        factors = solved[:, :at] / self.scale[used[:, :at]]
        return [
            _Fit(tuple(map(float, row)), found[at:-1], max(float(rest), 0.0))
            for row, found, rest in zip(factors, solved, rests, strict=True)
        ]


def _rank(profiles: Profiles, aggregate: Aggregate) -> tuple[bool, int, int]:
    return (
        profiles.columns[aggregate.column] != profiles.cost_column,
        aggregate.kind,
        aggregate.column,
    )
