from __future__ import annotations

import numpy as np
from ncnn_cases import NcnnCase, convolutions

from npu_tune.targets.ncnn.quantizing import LEVELS, code_factor, code_weights


def test_weights_lose_half_a_step_of_their_channel_at_most():
    layer = NcnnCase(convolutions()).program.products["c1"]
    coded = code_weights(layer)
    weights = layer.weights[0].reshape(20, -1)
    steps = 1 / coded.factors[:, None]
    assert np.abs(coded.codes.reshape(20, -1) * steps - weights).max() <= 0.501 * steps.max()


def test_the_largest_weight_of_each_channel_has_the_largest_code():
    coded = code_weights(NcnnCase(convolutions()).program.products["c3"])
    assert (np.abs(coded.codes.reshape(32, -1)).max(axis=1) == LEVELS).all()


def test_what_is_always_zero_has_a_factor_too():
    assert np.isfinite(code_factor(0.0))
