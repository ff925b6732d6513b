"""What totals of trials say of pairs of choices beyond the rows of their profiles."""

from __future__ import annotations

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.offline.costs import Observations, PairTables
from npu_tune.samplers.offline.settings import OfflineSettings

_LEAST_TOTAL = 0.1
"""Share of the mean total that a total counts as at least, where its noise is relative to it."""


def fit_totals(
    tables: PairTables,
    seen: Observations,
    totals: Floats,
    settings: OfflineSettings,
    *,
    noise: float,
) -> PairTables:
    """Corrects tables by what the totals of trials are beyond what the tables add up to.

    Rows of profiles are noisy, miss what layers further apart do to each other, and need not add
    up to what is measured of the whole. What is left of each total is taken for a sum, over the
    layers, of a part of its choice and one of the pair with the layer before: the mean of a
    Gaussian process over trials, which shares it out over the tables.

    Args:
        tables: of the rows.
        seen: the rows, and what was chosen.
        totals: that were measured; of shape (trials, columns).
        settings: of the sampler.
        noise: relative standard deviation of a total.
    """
    kernels = _kernels(seen, settings)
    scales = settings.total_spread * seen.scales
    left = totals - np.array([tables.totals(path) for path in seen.taken])
    size = np.abs(totals)
    deviations = noise * np.maximum(size, _LEAST_TOTAL * size.mean(axis=0)) + 1e-300
    costs = [table.copy() for table in tables.costs]
    for column in range(totals.shape[1]):
        gram = np.diag(deviations[:, column] ** 2)
        for at, (pair, own) in enumerate(kernels):
            there, here = seen.before[:, at], seen.taken[:, at]
            alike = (1.0 + pair[np.ix_(there, there)]) * own[np.ix_(here, here)]
            gram += scales[at, column] ** 2 * alike
        alpha = np.linalg.solve(gram, left[:, column])
        for at, (pair, own) in enumerate(kernels):
            weighted = scales[at, column] ** 2 * alpha * own[:, seen.taken[:, at]]
            costs[at][:, :, column] += (1.0 + pair[:, seen.before[:, at]]) @ weighted.T
    return PairTables(tuple(costs), tables.seen, tables.scale)


def _kernels(seen: Observations, settings: OfflineSettings) -> list[tuple[Floats, Floats]]:
    """Per layer how alike choices before it are, and its own."""
    own = [
        actions.likeness() + settings.own_share * np.eye(len(actions)) for actions in seen.actions
    ]
    return list(zip([np.ones((1, 1)), *own[:-1]], own, strict=True))
