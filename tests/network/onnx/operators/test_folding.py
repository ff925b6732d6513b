from __future__ import annotations

import numpy as np
import pytest
from two_runtimes import onnx_model, onnx_network, run_onnx

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.fold import fold_constants
from npu_tune.network.onnx.model import infer_shapes
from npu_tune.network.onnx.proto import graph_from_onnx

GENERATOR = np.random.default_rng(0)
CODES = GENERATOR.integers(-100, 100, (4, 6)).astype(np.int8)
FOLDED = {
    "a scale for all": ("DequantizeLinear(q, s, z)", 10, {"s": 0.5, "z": np.int8(3)}),
    "a scale per column": (
        "DequantizeLinear(q, s)", 13, {"s": np.linspace(0.1, 0.6, 6)}
    ),
    "a scale and zero point per row": (
        "DequantizeLinear<axis=-2>(q, s, z)",
        13,
        {"s": np.linspace(0.1, 0.6, 4), "z": np.arange(4, dtype=np.int8)},
    ),
    "a scale per block": (
        "DequantizeLinear<axis=1, block_size=4>(q, s, z)",
        21,
        {
            "s": np.linspace(0.1, 0.6, 8).reshape(4, 2),
            "z": np.arange(8, dtype=np.int8).reshape(4, 2),
        },
    ),
    "scale and values of one name": ("DequantizeLinear(q, s, q)", 13, {"s": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_dequantized_constants_are_those_of_onnxruntime(name: str) -> None:
    call, opset, given = FOLDED[name]
    codes = CODES[:1, :1].reshape(()) if "one name" in name else CODES
    constants = {"q": codes} | {
        label: np.asarray(value, np.float32 if label == "s" else np.int8)
        for label, value in given.items()
    }
    model = onnx_model(f"(float[1] x) => (float y) {{ w = {call} y = Add(x, w) }}", constants,
                       opset=opset)  # fmt: skip
    graph = graph_from_onnx(infer_shapes(model, name="model"))
    fold_constants(graph)
    (wanted,) = run_onnx(onnx_network(model), {"x": np.zeros(1, np.float32)})
    np.testing.assert_allclose(graph.constants["w"], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "opset", "reason"),
    [
        ("Softmax(k)", 12, "before operator set 13"),
        ("RandomNormal<shape=[2,3,4]>()", 13, "random"),
        ("Dropout(k, half, true)", 13, "random"),
        ('MaxPool<kernel_shape=[3], auto_pad="SAME_LOWER", strides=[2]>(k)', 13, "disputed"),
    ],
)
def test_what_onnx_computes_otherwise_than_onnxruntime_is_refused(
    call: str, opset: int, reason: str
) -> None:
    constants = {
        "k": np.ones((2, 3, 4), np.float32),
        "half": np.float32(0.5),
        "true": np.asarray(True),
    }
    model = onnx_model(f"(float[1] x) => (float y) {{ w = {call} y = Add(x, w) }}", constants,
                       opset=opset)  # fmt: skip
    with pytest.raises(UnsupportedOperatorError, match=reason):
        fold_constants(graph_from_onnx(infer_shapes(model, name="model")))


def test_an_attribute_that_is_an_empty_list_keeps_its_type() -> None:
    model = onnx_model(
        "(float[1] x) => (float y) { w = ReduceMean<keepdims=0>(k) y = Add(x, w) }",
        {"k": np.asarray([[1.0, 2.0], [3.0, 6.0]], np.float32)},
    )
    graph = graph_from_onnx(infer_shapes(model, name="model"))
    graph.nodes[0].attributes["axes"] = []
    fold_constants(graph)
    assert graph.constants["w"] == 3.0
