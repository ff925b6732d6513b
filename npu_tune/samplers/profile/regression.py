"""Linear regressions of the surrogate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npu_tune.samplers.arrays import Floats


def fit_ridge(design: Floats, target: Floats, prior: Floats, noises: Sequence[float]) -> Floats:
    """Fits coefficients under priors of given variance, with the noise that predicts best."""
    if len(target) < 2:
        return np.zeros(len(prior))
    scaled = design * np.sqrt(prior)
    held_out = np.arange(len(target)) % 5 == 0
    kept = scaled[~held_out], target[~held_out]
    misses = [
        float(np.mean((scaled[held_out] @ _solve_ridge(*kept, noise) - target[held_out]) ** 2))
        for noise in noises
    ]
    return np.sqrt(prior) * _solve_ridge(scaled, target, noises[int(np.argmin(misses))])


def _solve_ridge(design: Floats, target: Floats, noise: float) -> Floats:
    if design.shape[1] > len(target):
        kernel = design @ design.T
        kernel[np.diag_indices_from(kernel)] += noise
        return np.asarray(design.T @ np.linalg.solve(kernel, target))
    normal = design.T @ design
    normal[np.diag_indices_from(normal)] += noise
    return np.asarray(np.linalg.solve(normal, design.T @ target))


def fit_nonnegative(design: Floats, target: Floats, prior: Floats, steps: int = 60) -> Floats:
    """Solves least squares with coefficients from 0 on, shrunk a little towards ``prior``."""
    pull = 0.02 * len(target)
    normal = design.T @ design + pull * np.eye(design.shape[1])
    right = design.T @ target + pull * prior
    result = prior.copy()
    for _ in range(steps):
        for i in range(len(result)):
            result[i] = max(0.0, result[i] + (right[i] - normal[i] @ result) / normal[i, i])
    return result
