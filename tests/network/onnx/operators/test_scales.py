from __future__ import annotations

import numpy as np
import pytest
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network.quantize import convert
from npu_tune.targets.neural_art.graph import graph_of

WRONG = [0.0, -0.1, np.nan, np.inf, []]


def _weights(scale: object, zero_point: object = 0, attributes: str = "axis=0") -> None:
    model = onnx_model(
        f"(float[2,4] x) => (float y) {{ w = DequantizeLinear<{attributes}>(q, s, z)"
        " y = MatMul(x, w) }",
        {
            "q": np.arange(12, dtype=np.int8).reshape(4, 3),
            "s": np.asarray(scale, np.float32),
            "z": np.asarray(zero_point, np.int8),
        },
        opset=21,
    )
    graph_of(onnx_network(model))


@pytest.mark.parametrize(
    ("scale", "zero_point", "attributes"),
    [
        *((scale, 0, "axis=0") for scale in WRONG),
        ([0.1, 0.2, np.nan, 0.1], 0, "axis=0"),
        ([0.1, 0.2, 0.3], 0, "axis=0"),
        ([0.1, 0.2, 0.3, 0.4], 0, "axis=1"),
        ([0.1, 0.2, 0.3, 0.4], 0, "axis=9"),
        ([[0.1, 0.2, 0.3, 0.4]], 0, "axis=0"),
        ([0.1, 0.2, 0.3, 0.4], [1, 2, 3], "axis=0"),
        (0.1, [1, 2, 3], "axis=0"),
        ([[0.1] * 3] * 3, 0, "axis=0, block_size=2"),
        ([[0.1] * 3] * 2, [[0] * 3] * 4, "axis=0, block_size=2"),
    ],
)
def test_scales_of_constants_that_are_wrong_name_the_node(
    scale: object, zero_point: object, attributes: str
) -> None:
    with pytest.raises(ModelError, match="'w'"):
        _weights(scale, zero_point, attributes)


@pytest.mark.parametrize(
    ("scale", "zero_point", "attributes"),
    [
        (0.1, 0, "axis=0"),
        ([0.1], [0], "axis=9"),
        ([0.1] * 4, [0] * 4, "axis=-2"),
        ([0.1] * 3, 0, "axis=1"),
        ([[0.1] * 3] * 2, [[0] * 3] * 2, "axis=0, block_size=2"),
        ([[0.1] * 2] * 4, 0, "axis=-1, block_size=2"),
    ],
)
def test_scales_that_fit_their_tensor_are_read(
    scale: object, zero_point: object, attributes: str
) -> None:
    _weights(scale, zero_point, attributes)


@pytest.mark.parametrize("scale", WRONG)
def test_scales_at_run_time_that_are_wrong_name_the_node(scale: object) -> None:
    model = onnx_model(
        "(float[2,4] x) => (float y) { q = QuantizeLinear(x, s, z)"
        " d = DequantizeLinear(q, s, z) y = Relu(d) }",
        {"s": np.asarray(scale, np.float32), "z": np.asarray(0, np.int8)},
    )
    with pytest.raises(ModelError, match="'q'"):
        convert(onnx_network(model), samples=1)
