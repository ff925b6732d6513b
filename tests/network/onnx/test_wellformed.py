from __future__ import annotations

import pytest
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ("y = Relu(a) a = Neg(x)", "reads 'a', which nothing before it computes"),
        ("y = Relu(missing)", "reads 'missing'"),
        ("y = Relu(x) y = Neg(x)", "computes 'y', which is there before"),
        ("x = Relu(x) y = Neg(x)", "computes 'x'"),
    ],
)
def test_tensors_are_computed_once_and_before_they_are_read(nodes: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        onnx_network(onnx_model(f"(float[1,4] x) => (float y) {{ {nodes} }}"))


def test_names_that_are_no_text_are_damage() -> None:
    content = onnx_model("(float[1,4] x) => (float y) { abc = Relu(x) y = Neg(abc) }")
    damaged = content.SerializeToString().replace(b"abc", b"a\xacc")
    with pytest.raises(ModelError, match="damaged"):
        network_from_bytes(damaged, "onnx", "test")
