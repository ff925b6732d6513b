from __future__ import annotations

import numpy as np
import pytest

from npu_tune.samplers.ranking import _best


@pytest.mark.parametrize("kinds", [3, 20, 10_000])
@pytest.mark.parametrize("width", [6, 40])
@pytest.mark.parametrize("failed", [0.0, 0.02, 1.0])
def test_the_best_of_many_are_those_that_sorting_all_would_find(kinds, failed, width):
    random = np.random.default_rng(kinds)
    scores = random.integers(kinds, size=2000).astype(float)
    scores[random.random(len(scores)) < failed] = np.inf
    numbers = random.permutation(len(scores)).astype(float)

    expected = {}
    for index in np.lexsort((-numbers, scores)):
        if np.isfinite(scores[index]):
            expected.setdefault(scores[index], int(index))

    assert _best(scores, numbers, width) == tuple(expected.values())[:width]
