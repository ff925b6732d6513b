"""A model of what a layer costs in a context, learnt from the profiles of all trials."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.profile.encoding import Contexts, Encoding
from npu_tune.samplers.profile.profiles import Profiles
from npu_tune.samplers.profile.regression import fit_nonnegative, fit_ridge
from npu_tune.samplers.profile.relation import Aggregate
from npu_tune.samplers.profile.settings import LayerProfileSettings

_JITTER = 1e-5
"""Added to the diagonal of kernels so that they can be inverted."""

_MOST_NOISE = 10.0
"""Largest variance of noise in a kernel, relative to that of the costs."""


@dataclass(frozen=True)
class Shared:
    """Effects of values on the logarithm of a layer's cost, whichever layer it is.

    Args:
        single: per token.
        pairs: per two tokens of the layer's own slots.
        distances: between tokens, weighted by how much they make two layers differ.
    """

    single: Floats
    pairs: Floats
    distances: Floats

    def predict(self, hot: Floats) -> Floats:
        """Sums the effects of contexts, given as one-hot rows."""
        own = hot[:, : len(self.pairs)]
        return np.asarray(hot @ self.single + np.einsum("ij,ij->i", own @ self.pairs, own))


@dataclass(frozen=True)
class _Local:
    """The Gaussian process of what the shared effects leave of one layer's costs."""

    distances: Floats
    inverse: Floats
    alpha: Floats
    spread: float
    offset: float


@dataclass
class Surrogate:
    """Predicts one column of every layer in any context, with its uncertainty.

    The logarithm of the cost is a sum of effects that all layers share (single values, pairs of
    values of the layer itself), fitted by ridge regression, and a Gaussian process per layer for
    the residual. Without noise it interpolates, so that observed contexts are met exactly; with
    noise it smooths. The weights of the slots in its kernel are estimated from the variogram of
    the residuals.

    Args:
        profiles: of the trials.
        aggregate: what is predicted.
        encoding: of contexts.
        settings: of the sampler.
        noise: relative standard deviation of a layer's cost, which is that of its logarithm.
    """

    profiles: Profiles
    aggregate: Aggregate
    encoding: Encoding
    settings: LayerProfileSettings
    noise: float = 0.0
    _shared: Shared | None = None
    _shared_from: int = 0
    _local: dict[int, tuple[int, int, _Local]] = field(default_factory=dict)

    def predict(self, place: int, contexts: Contexts) -> tuple[Floats, Floats]:
        """Expected logarithm of the cost and its standard deviation, per context."""
        shared = self.shared()
        local = self._local_model(place, shared)
        hot = self.encoding.one_hot(place, contexts)
        kernel = np.exp(-(hot @ local.distances))
        mean = shared.predict(hot) + local.offset + kernel @ local.alpha
        known = np.einsum("ij,ij->i", kernel @ local.inverse, kernel)
        return mean, local.spread * np.sqrt(np.clip(1.0 - known, 0.0, 1.0))

    def shared(self) -> Shared:
        """The shared effects, fitted anew whenever enough trials have been added."""
        settings = self.settings
        count = step_down(len(self.profiles), settings.all_shared, settings.shared_growth)
        if self._shared is None or self._shared_from != count:
            self._shared = _fit_shared(self, count)
            self._shared_from = count
        return self._shared

    def observations(
        self, place: int, numbers: Sequence[int], until: int
    ) -> tuple[Floats, Floats]:
        """One-hot contexts of a layer in some trials, and the logarithms of its costs.

        Args:
            place: of the layer.
            numbers: the first trials of contexts.
            until: the number of trials over which costs in the same context are averaged.
        """
        column, kind = self.aggregate.column, self.aggregate.kind
        costs = self.profiles.mean_costs(place, column, kind, numbers, until)
        contexts = self.profiles.contexts(place, numbers)
        return self.encoding.one_hot(place, contexts), log_of(costs)

    def _local_model(self, place: int, shared: Shared) -> _Local:
        """The Gaussian process of a layer, fitted anew once enough contexts have been added."""
        seen = self.profiles.distinct[place]
        count = step_down(len(seen), self.settings.all_near, self.settings.near_growth)
        known = self._local.get(place)
        if known is not None and known[:2] == (self._shared_from, count):
            return known[2]
        local = self._fit(place, shared, seen.array[:count].tolist())
        self._local[place] = (self._shared_from, count, local)
        return local

    def _fit(self, place: int, shared: Shared, numbers: list[int]) -> _Local:
        hot, logs = self.observations(place, numbers, self._shared_from)
        most = self.settings.near_rows
        if len(numbers) > most:
            half = len(numbers) - most // 2
            best = np.argsort(logs[:half], kind="stable")[: most // 2]
            chosen = np.concatenate([np.sort(best), np.arange(half, len(numbers))])
            hot, logs = hot[chosen], logs[chosen]
        left = logs - shared.predict(hot)
        offset = float(np.mean(left))
        left = left - offset
        distances = shared.distances @ hot.T
        kernel = np.exp(-(hot @ distances))
        kernel[np.diag_indices_from(kernel)] += _JITTER + self._nugget(left)
        inverse: Floats = np.asarray(np.linalg.inv(kernel), dtype=np.float64)
        alpha = inverse @ left
        # The maximum-likelihood scale of the residuals, and a little more.
        spread = np.sqrt((max(float(left @ alpha), 0.0) + 2e-4) / (len(left) + 1.0))
        return _Local(distances, inverse, alpha, float(spread), offset)

    def _nugget(self, left: Floats) -> float:
        """Variance of the noise relative to that of the costs, given residuals that have both."""
        variance = self.noise**2
        if variance == 0.0:
            return 0.0
        rest = float(np.mean(left**2)) - variance
        return variance / max(rest, variance / _MOST_NOISE)


def step_down(count: int, all_up_to: int, share: float) -> int:
    """Rounds ``count`` down to a step of a ladder whose steps grow by ``share``."""
    step = all_up_to
    if count <= step:
        return count
    while True:
        following = max(step + 1, int(step * (1.0 + share)))
        if following > count:
            return step
        step = following


def log_of(costs: Floats) -> Floats:
    """The logarithm of costs that is modelled; 0 for 0."""
    return np.asarray(np.log1p(np.maximum(costs, 0.0)))


def _fit_shared(model: Surrogate, count: int) -> Shared:
    profiles, encoding = model.profiles, model.encoding
    places = range(len(profiles.layers))
    most = max(model.settings.shared_rows // max(len(places), 1), 2)
    effects, logs, hots, bounds = [], [], [], [0]
    for place in places:
        distinct = profiles.distinct[place].array
        seen = distinct[distinct < count].tolist()
        if len(seen) > most:
            # The newest are near where the search is now; the first are spread out.
            seen = seen[: most // 2] + seen[-(most - most // 2) :]
        hot, log = model.observations(place, seen, count)
        hots.append(hot)
        effects.append(encoding.effects(hot))
        logs.append(log)
        bounds.append(bounds[-1] + len(log))
    centred = [e - e.mean(axis=0) for e in effects]
    own = encoding.own_effects
    pairs = _pairs(encoding)
    products = [e[:, pairs[0]] * e[:, pairs[1]] for e in effects]
    design = np.concatenate(
        [np.concatenate(centred), np.concatenate([p - p.mean(axis=0) for p in products])], axis=1
    )
    target = np.concatenate([log - log.mean() for log in logs])
    is_own = encoding.effect_slots < model.profiles.slots.own
    other = model.settings.other_prior
    prior = np.concatenate([np.where(is_own, 1.0, other), np.full(len(pairs[0]), other)])
    coefficients = fit_ridge(design, target, prior, model.settings.ridge_noises)
    single, pair = np.split(coefficients, [len(encoding.effect_slots)])
    matrix = np.zeros((own, own))
    matrix[pairs[0], pairs[1]] = pair
    left = target - design @ coefficients
    weights = _slot_weights(encoding, np.concatenate(hots), left, bounds, model.settings)
    return Shared(
        encoding.spread_singles(single), encoding.spread_pairs(matrix), encoding.distances(weights)
    )


def _pairs(encoding: Encoding) -> tuple[Contexts, Contexts]:
    slots = encoding.effect_slots[: encoding.own_effects]
    first, second = np.nonzero(slots[:, None] < slots[None, :])
    return first, second


def _slot_weights(
    encoding: Encoding,
    hot: Floats,
    left: Floats,
    bounds: Sequence[int],
    settings: LayerProfileSettings,
) -> Floats:
    """Estimates slot weights from the variogram: half the squared differences of residuals."""
    own = encoding.own_slots
    width = encoding.width
    start = np.where(np.arange(width) < own, settings.own_weight, settings.other_weight)
    first, second = _some_pairs(bounds, settings.variogram_pairs)
    if len(first) < 2 * width:
        return start
    vectors = encoding.vectors(hot)
    squares = (vectors[first] - vectors[second]) ** 2
    member = (encoding.vector_slots[:, None] == np.arange(width)[None, :]).astype(float)
    distance = squares @ member
    halves = (left[first] - left[second]) ** 2 / 2.0
    sill = float(np.mean(halves)) or 1.0
    halves = np.minimum(halves / sill, 6.0)
    weights = fit_nonnegative(distance, halves, start)
    least = settings.least_weight * np.where(np.arange(width) < own, 1.0, 0.3)
    return np.clip(weights, least, settings.most_weight)


def _some_pairs(bounds: Sequence[int], count: int) -> tuple[Contexts, Contexts]:
    """Draws pairs of observations of the same layer, near and far in time."""
    random = np.random.default_rng(0)
    first, second = [], []
    share = max(count // max(len(bounds) - 1, 1), 1)
    for low, high in itertools.pairwise(bounds):
        if high - low > 1:
            a = random.integers(low, high, share)
            b = random.integers(low, high - 1, share)
            first.append(a)
            second.append(b + (b >= a))
    if not first:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(first), np.concatenate(second)
