"""What has no int8 TFLite form is refused by the node and the attribute or input."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import defs
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.operators import OPERATORS
from npu_tune.network.quantize import convert
from npu_tune.network.quantize.door import check_nodes

pytestmark = pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")

CONSTANTS = {
    "one": np.float32(1.0),
    "s": np.asarray([1, 1, 1.5, 1.5], np.float32),
    "p": np.asarray([0, 0, 1, 1, 0, 0, 1, 1]),
    "r": np.asarray([0, 0, -1, 1, 0, 0, 1, 1]),
    "b": np.asarray([-1]),
    "e": np.asarray([-9]),
    "a": np.asarray([2]),
    "w": np.ones((4, 2, 3, 3), np.float32),
    "d": np.asarray([0, 2, 3]),
    "q": np.full((1, 4, 5, 2), 0.1, np.float32),
    "v": np.ones(4, np.float32),
    "true": np.asarray(True),
}
REFUSED = [
    # Resize
    ('y = Resize<mode="cubic">(x, , s)', "its mode is 'cubic', and only 'nearest', 'linear'"),
    ("y = Resize<antialias=1>(x, , s)", "its antialias is 1"),
    ("y = Resize<exclude_outside=1>(x, , s)", "its exclude_outside is 1"),
    (
        'y = Resize<coordinate_transformation_mode="tf_crop_and_resize">(x, , s)',
        "its coordinate_transformation_mode is 'tf_crop_and_resize'",
    ),
    # Windows
    ("y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)", "it is dilated"),
    ("y = AveragePool<kernel_shape=[2,2], dilations=[1,2]>(x)", "it is dilated"),
    ("y, i = MaxPool<kernel_shape=[2,2]>(x) z = Cast<to=1>(i)", "its output Indices is read"),
    ("y = ConvTranspose<group=2>(x, w)", "without groups and dilation"),
    ("y = ConvTranspose<dilations=[2,2]>(x, w)", "without groups and dilation"),
    ("k = Relu(x) y = Conv(x, k)", "its input W is computed at run time"),
    # Values
    ('y = Pad<mode="wrap">(x, p)', "its mode is 'wrap'"),
    ('y = Pad<mode="edge">(x, r)', "cuts elements off and mirrors others"),
    ("k = ReduceMean<keepdims=0>(x) y = Pad(x, p, k)", "its input constant_value is computed"),
    ("k = ReduceMean<keepdims=0>(x) y = Clip(x, , k)", "its input max is computed at run time"),
    ("k = Sigmoid(x) y = PRelu(x, k)", "its input slope is computed at run time"),
    ("y = Slice(x, b, e, a, b)", "it runs backwards"),
    ("y = Elu<alpha=0.5>(x)", "its alpha is 0.5, and only 1.0 is known"),
    ("y = HardSigmoid<alpha=-0.5>(x)", "its slope is not positive"),
    ("k = Sigmoid(x) y = Div(x, k)", "its divisor is computed at run time"),
    ("k = Cast<to=6>(x) y = Cast<to=1>(k)", "its to is 6, and only 1, 10, 11, 16"),
    # Training
    ("y = Dropout(x, one, true)", "its training_mode is True"),
    ("y, m = Dropout(x) z = Cast<to=1>(m)", "its output mask is read"),
    (
        "k = ReduceMean<keepdims=0>(x, d) y = BatchNormalization(x, v, v, v, k)",
        "its input input_var is",
    ),
    ("y, k, l = BatchNormalization<training_mode=1>(x, v, v, v, v)", "its training_mode is 1"),
    # Quantizers
    (
        "k = QuantizeLinear<axis=3, block_size=4>(x, q) y = DequantizeLinear(k, one)",
        "its block_size is 4",
    ),
    # Strangers
    ("y = Relu<alpha=0.5>(x)", "gives it no attribute 'alpha'"),
]


@pytest.mark.parametrize(("nodes", "reason"), REFUSED, ids=[nodes for nodes, _ in REFUSED])
def test_what_is_not_honoured_is_refused_by_name(nodes: str, reason: str) -> None:
    outputs = "float y, float z" if " z = " in nodes else "float y"
    model = onnx_model(f"(float[1,4,5,7] x) => ({outputs}) {{ {nodes} }}", CONSTANTS, opset=21)
    with pytest.raises(UnsupportedOperatorError, match=reason) as caught:
        convert(onnx_network(model))
    assert caught.value.remedy
    assert f"({caught.value.data['op']})" in caught.value.message


def test_every_other_operator_of_onnx_is_refused_by_name() -> None:
    others = {s.name for s in defs.get_all_schemas_with_history() if s.domain == ""}
    for op in others - {op for op, operator in OPERATORS.items() if operator.converted}:
        node = OnnxNode(op, "node", ["x"], ["y"])
        graph = OnnxGraph([node], {}, {"x": (1, 4), "y": (1, 4)}, ["x"], ["y"], opset=13)
        with pytest.raises(UnsupportedOperatorError, match=rf"'node' \({op}\)"):
            check_nodes(graph)
