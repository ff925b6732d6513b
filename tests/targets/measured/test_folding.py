"""What folding makes of a network."""

from __future__ import annotations

import pytest
from two_runtimes import onnx_model, onnx_network

from npu_tune.targets.measured.folding import float_graph

pytest.importorskip("onnxruntime")


def test_a_sum_of_two_becomes_an_add_and_one_of_three_stays():
    network = onnx_network(
        onnx_model(
            "(float[1,4] a, float[1,4] b) => (float y)"
            " { two = Sum(a, b) three = Sum(a, b, two) y = Mul(two, three) }"
        )
    )
    assert [node.op for node in float_graph(network).nodes] == ["Add", "Sum", "Mul"]
