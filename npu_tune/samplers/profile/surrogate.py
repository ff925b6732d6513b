"""What a layer is likely to cost in a context, learnt from the profiles of all trials."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from npu_tune.samplers.history import Floats
from npu_tune.samplers.profile.encoding import Contexts, Encoding
from npu_tune.samplers.profile.profiles import Profiles

_MOST_ROWS = 3000
"""From how many observations the effects that layers share are fitted."""

_MOST_NEAR = 96
"""How many observations of one layer are interpolated: half the best, half the newest."""

_ALL_NEAR = 48
"""Up to so many, every new observation is taken in at once; later a few at a time."""

_PAIRS = 4000
"""From how many pairs of observations the slots' weights are estimated."""

_NOISES = (0.1, 1.0, 10.0, 100.0)
"""Variances of noise that the regression tries, relative to the prior variance of an effect."""

_JITTER = 1e-5
_LEAST_WEIGHT = 0.001
_MOST_WEIGHT = 2.0


@dataclass(frozen=True)
class Figure:
    """A column of the profile, added up over the layers in one way."""

    column: int
    kind: int


@dataclass(frozen=True)
class Shared:
    """Effects that values have on the logarithm of a layer's figure, wherever they are chosen.

    Args:
        single: per token.
        pairs: per two tokens of the layer's own slots.
        distances: between tokens, how unlike they make two layers.
    """

    single: Floats
    pairs: Floats
    distances: Floats

    def predict(self, hot: Floats) -> Floats:
        """The sum of the effects of some contexts."""
        own = hot[:, : len(self.pairs)]
        return np.asarray(hot @ self.single + np.einsum("ij,ij->i", own @ self.pairs, own))


@dataclass(frozen=True)
class _Local:
    """The interpolation of what the shared effects leave of one layer's figures."""

    distances: Floats
    inverse: Floats
    alpha: Floats
    spread: float
    offset: float


@dataclass
class Surrogate:
    """Predicts one figure of every layer in any context, with its uncertainty.

    The logarithm of a figure is a sum of effects that all layers share (single values, pairs of
    values of the layer itself), fitted by ridge regression, and a Gaussian process for each layer
    that interpolates what is left, so that observed contexts are met exactly. How much a slot
    counts in its kernel is estimated from the variogram of what is left.
    """

    profiles: Profiles
    figure: Figure
    encoding: Encoding
    _shared: Shared | None = None
    _shared_from: int = 0
    _local: dict[int, tuple[int, int, _Local]] = field(default_factory=dict)
    _hots: list[Floats] = field(default_factory=list)
    _logs: list[Floats] = field(default_factory=list)

    def predict(self, place: int, contexts: Contexts) -> tuple[Floats, Floats]:
        """Expected logarithm of the figure and its standard deviation."""
        shared = self.shared()
        local = self._fitted(place, shared)
        hot = self.encoding.one_hot(place, contexts)
        kernel = np.exp(-(hot @ local.distances))
        mean = shared.predict(hot) + local.offset + kernel @ local.alpha
        known = np.einsum("ij,ij->i", kernel @ local.inverse, kernel)
        return mean, local.spread * np.sqrt(np.clip(1.0 - known, 0.0, 1.0))

    def shared(self) -> Shared:
        """The shared effects, fitted anew whenever a seventh more trials have come in."""
        count = step_down(len(self.profiles), 12, 0.15)
        if self._shared is None or self._shared_from != count:
            self._shared = _fit_shared(self, count)
            self._shared_from = count
        return self._shared

    def observations(self, place: int, numbers: Sequence[int]) -> tuple[Floats, Floats]:
        """One-hot contexts of a layer in some trials, and the logarithms of its figure."""
        figures = self.profiles.figure(place, self.figure.column, self.figure.kind, numbers)
        contexts = self.profiles.contexts(place, numbers)
        return self.encoding.one_hot(place, contexts), log_of(figures)

    def _fitted(self, place: int, shared: Shared) -> _Local:
        seen = self.profiles.distinct[place]
        count = step_down(len(seen), _ALL_NEAR, 0.1)
        known = self._local.get(place)
        if known is not None and known[:2] == (self._shared_from, count):
            return known[2]
        local = self._fit(place, shared, seen[:count])
        self._local[place] = (self._shared_from, count, local)
        return local

    def _fit(self, place: int, shared: Shared, numbers: list[int]) -> _Local:
        hot, logs = self.observations(place, numbers)
        if len(numbers) > _MOST_NEAR:
            half = len(numbers) - _MOST_NEAR // 2
            best = np.argsort(logs[:half], kind="stable")[: _MOST_NEAR // 2]
            chosen = np.concatenate([np.sort(best), np.arange(half, len(numbers))])
            hot, logs = hot[chosen], logs[chosen]
        left = logs - shared.predict(hot)
        offset = float(np.mean(left))
        left = left - offset
        distances = shared.distances @ hot.T
        kernel = np.exp(-(hot @ distances))
        kernel[np.diag_indices_from(kernel)] += _JITTER
        inverse: Floats = np.asarray(np.linalg.inv(kernel), dtype=np.float64)
        alpha = inverse @ left
        # The scale under which what is left is most likely, and a little beyond that.
        spread = np.sqrt((max(float(left @ alpha), 0.0) + 2e-4) / (len(left) + 1.0))
        return _Local(distances, inverse, alpha, float(spread), offset)


def step_down(count: int, all_up_to: int, share: float) -> int:
    """The last step of a ladder at or below ``count``, whose steps grow by ``share``."""
    step = all_up_to
    if count <= step:
        return count
    while True:
        following = max(step + 1, int(step * (1.0 + share)))
        if following > count:
            return step
        step = following


def log_of(figures: Floats) -> Floats:
    """The logarithm under which figures are predicted; 0 for 0."""
    return np.asarray(np.log1p(np.maximum(figures, 0.0)))


def _fit_shared(model: Surrogate, count: int) -> Shared:
    profiles, encoding = model.profiles, model.encoding
    places = range(len(profiles.layers))
    most = max(_MOST_ROWS // max(len(places), 1), 2)
    effects, logs, hots, bounds = [], [], [], [0]
    for place in places:
        seen = [number for number in profiles.distinct[place] if number < count]
        if len(seen) > most:
            # The newest are near where the search is now; the first are spread out.
            seen = seen[: most // 2] + seen[-(most - most // 2) :]
        hot, log = model.observations(place, seen)
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
    prior = np.concatenate([np.where(is_own, 1.0, 0.1), np.full(len(pairs[0]), 0.1)])
    coefficients = _ridge(design, target, prior)
    single, pair = np.split(coefficients, [len(encoding.effect_slots)])
    matrix = np.zeros((own, own))
    matrix[pairs[0], pairs[1]] = pair
    left = target - design @ coefficients
    weights = _slot_weights(encoding, np.concatenate(hots), left, bounds)
    return Shared(
        encoding.spread_singles(single), encoding.spread_pairs(matrix), encoding.distances(weights)
    )


def _pairs(encoding: Encoding) -> tuple[Contexts, Contexts]:
    slots = encoding.effect_slots[: encoding.own_effects]
    first, second = np.nonzero(slots[:, None] < slots[None, :])
    return first, second


def _ridge(design: Floats, target: Floats, prior: Floats) -> Floats:
    """Coefficients under priors of given variance; the noise is the one that predicts best."""
    if len(target) < 2:
        return np.zeros(len(prior))
    scaled = design * np.sqrt(prior)
    held_out = np.arange(len(target)) % 5 == 0
    kept = scaled[~held_out], target[~held_out]
    misses = [
        float(np.mean((scaled[held_out] @ _solved(*kept, noise) - target[held_out]) ** 2))
        for noise in _NOISES
    ]
    return np.sqrt(prior) * _solved(scaled, target, _NOISES[int(np.argmin(misses))])


def _solved(design: Floats, target: Floats, noise: float) -> Floats:
    if design.shape[1] > len(target):
        kernel = design @ design.T
        kernel[np.diag_indices_from(kernel)] += noise
        return np.asarray(design.T @ np.linalg.solve(kernel, target))
    normal = design.T @ design
    normal[np.diag_indices_from(normal)] += noise
    return np.asarray(np.linalg.solve(normal, design.T @ target))


def _slot_weights(encoding: Encoding, hot: Floats, left: Floats, bounds: Sequence[int]) -> Floats:
    """Per slot how much observations that differ in it differ in what is left of their figure."""
    own = encoding.own_slots
    width = encoding.width
    start = np.where(np.arange(width) < own, 0.3, 0.05)
    first, second = _some_pairs(bounds)
    if len(first) < 2 * width:
        return start
    vectors = encoding.vectors(hot)
    squares = (vectors[first] - vectors[second]) ** 2
    member = (encoding.vector_slots[:, None] == np.arange(width)[None, :]).astype(float)
    distance = squares @ member
    halves = (left[first] - left[second]) ** 2 / 2.0
    sill = float(np.mean(halves)) or 1.0
    halves = np.minimum(halves / sill, 6.0)
    weights = _nonnegative(distance, halves, start)
    return np.clip(
        weights, _LEAST_WEIGHT * np.where(np.arange(width) < own, 1.0, 0.3), _MOST_WEIGHT
    )


def _some_pairs(bounds: Sequence[int]) -> tuple[Contexts, Contexts]:
    """Pairs of observations of the same layer, near and far in time."""
    random = np.random.default_rng(0)
    first, second = [], []
    share = max(_PAIRS // max(len(bounds) - 1, 1), 1)
    for low, high in itertools.pairwise(bounds):
        if high - low > 1:
            a = random.integers(low, high, share)
            b = random.integers(low, high - 1, share)
            first.append(a)
            second.append(b + (b >= a))
    if not first:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(first), np.concatenate(second)


def _nonnegative(design: Floats, target: Floats, prior: Floats, steps: int = 60) -> Floats:
    """Least squares with coefficients from 0 on, drawn a little to ``prior``."""
    pull = 0.02 * len(target)
    normal = design.T @ design + pull * np.eye(design.shape[1])
    right = design.T @ target + pull * prior
    result = prior.copy()
    for _ in range(steps):
        for i in range(len(result)):
            result[i] = max(0.0, result[i] + (right[i] - normal[i] @ result) / normal[i, i])
    return result
