"""Random configurations of a search space, with few, many and all knobs changed."""

from __future__ import annotations

import random

from npu_tune.space import Configuration, SearchSpace

SHARES = (0.05, 0.3, 1.0)
"""The share of knobs that may change, in turn."""


def some_configurations(space: SearchSpace, count: int, seed: int = 0) -> list[Configuration]:
    """Draws configurations, the same ones for the same seed; not all need be legal.

    Args:
        space: offers the values.
        count: how many.
        seed: of the random numbers.
    """
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    found = []
    for turn in range(count):
        share = SHARES[turn % len(SHARES)]
        knobs = [knob for knob in space.knobs if rng.random() < share]
        found.append(space.configuration({k.full_name: rng.choice(k.values) for k in knobs}))
    return found
