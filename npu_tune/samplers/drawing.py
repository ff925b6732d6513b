"""Random values of single parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

_ATTEMPTS = 64
"""Draws for a value other than a given one; of two values, only one in 2**64 searches fails."""


def random_value(random: np.random.Generator, distribution: BaseDistribution) -> Any:
    """Draws a value of a parameter uniformly, or log-uniformly where its distribution says so."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(random.integers(len(distribution.choices)))]
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        raise TypeError(f"Values of {distribution} cannot be drawn.")
    low, high = distribution.low, distribution.high
    if distribution.log:
        value = float(np.exp(random.uniform(np.log(low), np.log(high))))
    else:
        value = float(random.uniform(low, high))
    if distribution.step is not None and not distribution.log:
        steps = round((high - low) / distribution.step)
        value = low + int(random.integers(steps + 1)) * distribution.step
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value


def other_value(random: np.random.Generator, distribution: BaseDistribution, taken: Any) -> Any:
    """Draws a value other than ``taken``, unless there is none."""
    value = random_value(random, distribution)
    for _ in range(_ATTEMPTS):
        if value != taken:
            break
        value = random_value(random, distribution)
    return value
