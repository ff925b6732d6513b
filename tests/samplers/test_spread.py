from __future__ import annotations

import numpy as np

from npu_tune.samplers.spread import AlikeGroups


def test_the_spread_of_a_layer_is_the_deviation_from_the_means_of_its_groups():
    random = np.random.default_rng(0)
    scores = random.random(300)
    scores[random.random(300) < 0.1] = np.inf
    groups, squares = AlikeGroups(3), {0: [], 1: []}
    for number in range(40):
        layer, members = number % 2, random.integers(300, size=5).tolist()
        groups.add(layer, number, members[:2])
        groups.add(layer, number, members[2:])
        seen = scores[members][np.isfinite(scores[members])]
        squares[layer] += ((seen - seen.mean()) ** 2).tolist()

    expected = [np.sqrt(np.mean(squares[0])), np.sqrt(np.mean(squares[1])), 0.0]
    assert np.allclose(groups.spreads(scores), expected)


def test_nothing_spreads_where_every_trial_failed():
    groups = AlikeGroups(2)
    assert groups.spreads(np.zeros(0)).tolist() == [0.0, 0.0]
    groups.add(1, 0, [0, 1])
    assert groups.spreads(np.full(2, np.inf)).tolist() == [0.0, 0.0]
