from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import ModelProto
from two_runtimes import onnx_model

from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.propagation import infer_without_values, propagated_values

CONSTANTS = {
    "zero": np.asarray(0),
    "one": np.asarray(1),
    "zeros": np.asarray([0]),
    "ones": np.asarray([1]),
    "twos": np.asarray([2]),
    "size": np.asarray([10**7]),
    "many": np.asarray(10**9),
    "list": np.arange(100),
    "weights": np.ones(10_000, np.float32),
}


def _values(model: ModelProto) -> float:
    return propagated_values(model, infer_without_values(model, ReadingBudget("net")))


@pytest.mark.parametrize(
    ("nodes", "values"),
    [
        ("r = Range(zero, many, one) f = Cast<to=1>(r)", 2 * 10**9),
        ("r = Range(zero, many, one)", 0),
        ("n = Size(x) r = Range(zero, n, one) f = Cast<to=1>(r)", math.inf),
        ("a = Concat<axis=0>(list, list) b = Concat<axis=0>(a, a) c = Neg(b)", 100 + 200 + 400),
        ("a = Mul(weights, weights)", 10_000),
        ("s = Shape(x)", 2),
        ("s = Shape(x) t = Slice(s, zeros, ones)", 2 + 1 + 1 + 1),
        ("f = Cast<to=1>(z)", 2 * 10**8),
        ("s = Sub(z, z) m = Mul(s, s)", 3 * 10**8),
        ("f = Cast<to=1>(x)", 0),
        ("w = ConstantOfShape(size) f = Cast<to=1>(w) g = Cast<to=1>(w)", 3 * 10**7),
        ("t = Abs(ones) w = ConstantOfShape(t) f = Cast<to=1>(w)", math.inf),
        ("w = Tile(z, twos) f = Cast<to=1>(w)", 4 * 10**8),
        ("l = Less(z, z) w = Where(l, z, z) f = Cast<to=1>(w)", 2 * 10**8),
        ("q = NonZero(z) w = Squeeze(q, zeros) f = Cast<to=1>(w)", math.inf),
        ("n = MeanVarianceNormalization<axes=[0]>(z)", 32 * 2 * 10**8),
    ],
)
def test_values_are_counted_as_they_would_be_followed(nodes: str, values: float) -> None:
    text = f"(float[1,4] x, float[100000000] z) => (float y) {{ {nodes} y = Relu(x) }}"
    model = onnx_model(text, CONSTANTS, opset=14)
    before = model.SerializeToString(deterministic=True)
    assert _values(model) == values
    assert model.SerializeToString(deterministic=True) == before


def test_the_rank_of_what_is_reshaped_to_computed_sizes_is_known() -> None:
    nodes = (
        "s = Shape(x) n = Gather(s, zero) m = Unsqueeze(n, zeros) t = Concat<axis=0>(m, ones, ones)"
        " r = Reshape(x, t) u = Add(r, r) v = Shape(u) w = Slice(v, zeros, ones)"
        " c = Concat<axis=0>(w, ones) q = Reshape(u, c) o = Mul(q, q)"
    )
    model = onnx_model(
        f"(float[1,4] x) => (float y) {{ {nodes} y = Relu(o) }}", CONSTANTS, opset=14
    )
    assert _values(model) < 300
