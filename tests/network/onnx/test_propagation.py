from __future__ import annotations

import math

import numpy as np
import pytest
from two_runtimes import onnx_model

from npu_tune.network.onnx.propagation import propagated_values

CONSTANTS = {
    "zero": np.asarray(0),
    "one": np.asarray(1),
    "many": np.asarray(10**9),
    "list": np.arange(100),
    "weights": np.ones(10_000, np.float32),
}


@pytest.mark.parametrize(
    ("nodes", "values"),
    [
        ("r = Range(zero, many, one)", 10**9),
        ("r = Range(many, zero, one)", 0),
        ("r = Range(zero, many, zero)", math.inf),
        ("n = Size(x) r = Range(zero, n, one)", math.inf),
        ("a = Concat<axis=0>(list, list) b = Concat<axis=0>(a, a) c = Neg(b)", 200 + 400 + 400),
        ("a = Mul(weights, weights)", 1),
        ("s = Shape(x)", 64),
    ],
)
def test_values_are_counted_as_they_would_be_followed(nodes: str, values: float) -> None:
    model = onnx_model(f"(float[1,4] x) => (float y) {{ {nodes} y = Relu(x) }}", CONSTANTS)
    assert values <= propagated_values(model) <= values + 2
