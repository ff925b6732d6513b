"""Multiply-accumulates of single layers."""

from __future__ import annotations

import pytest
from litert_operators import operator_file
from two_runtimes import onnx_model, onnx_network

from npu_tune.network.macs import network_macs


@pytest.mark.parametrize(
    ("op", "macs"),
    [
        ("CONV_2D", 8 * 6 * 4 * 3 * 3 * 4),
        ("DEPTHWISE_CONV_2D", 8 * 6 * 4 * 3 * 3),
        ("TRANSPOSE_CONV", 8 * 6 * 4 * 2 * 2 * 4),
        ("FULLY_CONNECTED", 4 * 16),
        ("CONV_3D", 4**3 * 3 * 3**3 * 2),
        ("CONV_3D_TRANSPOSE", 4**3 * 2 * 3**3 * 3),
        ("BATCH_MATMUL", 4 * 5 * 8),
        ("STABLEHLO_DOT_GENERAL", 4 * 5 * 8),
        ("SVDF", 16 * 8 + 16 * 10),
        ("RNN", 3 * 2 + 3 * 3),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", 5 * (3 * 2 + 3 * 3)),
        ("LSTM", 4 * (3 * 2 + 3 * 3)),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 5 * 4 * (3 * 2 + 3 * 3)),
        ("BIDIRECTIONAL_SEQUENCE_LSTM", 2 * 5 * 4 * (3 * 2 + 3 * 3)),
        ("BIDIRECTIONAL_SEQUENCE_RNN", 2 * 5 * (3 * 2 + 3 * 3)),
        # 64 points in 6 stages, with a product of four for two points each.
        ("RFFT2D", 64 * 6 * 2),
        ("ADD", 0),
        ("SOFTMAX", 0),
    ],
)
def test_a_tflite_operator_counts_its_products(op: str, macs: int) -> None:
    assert network_macs(operator_file(op).network()) == macs


@pytest.mark.parametrize(
    ("nodes", "inputs", "macs"),
    [
        ("y = MatMul(x, w)", "float[2,3,4] x, float[2,4,5] w", 2 * 3 * 4 * 5),
        ("y = Gemm<transA=1>(x, w)", "float[4,3] x, float[4,5] w", 3 * 4 * 5),
        (
            'y = Einsum<equation="bij,jk->bik">(x, w)',
            "float[2,3,4] x, float[4,5] w",
            2 * 3 * 4 * 5,
        ),
        ('y = Einsum<equation="...j->j">(x)', "float[2,3] x", 0),
        (
            "y, h = GRU<hidden_size=4>(x, w, r)",
            "float[6,2,8] x, float[1,12,8] w, float[1,12,4] r",
            6 * 2 * (12 * 8 + 12 * 4),
        ),
        ("y = DFT(x)", "float[1,8,1] x", 8 * 3 * 2),
    ],
)
def test_an_onnx_operator_counts_its_products(nodes: str, inputs: str, macs: int) -> None:
    network = onnx_network(onnx_model(f"({inputs}) => (float y) {{ {nodes} }}", opset=17))
    assert network_macs(network) == macs
