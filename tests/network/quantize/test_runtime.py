from __future__ import annotations

import numpy as np
import pytest
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network.quantize import convert

pytestmark = pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")


def test_sizes_that_onnxruntime_computes_otherwise_are_refused_by_the_tensor() -> None:
    model = onnx_model(
        "(float[1,4,7,6] x) => (float y)"
        " { y = MaxPool<kernel_shape=[2,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x) }"
    )
    with pytest.raises(ModelError, match=r"'y' has the shape \(1, 4, 5, 4\) by ONNX's rules"):
        convert(onnx_network(model))


def test_values_that_onnxruntime_refuses_at_run_time_are_no_internal_error() -> None:
    model = onnx_model(
        "(float[1,4,6,6] x) => (float y)"
        ' { y = Conv<auto_pad="SAME_UPPER", dilations=[2,2]>(x, w) }',
        {"w": np.ones((4, 4, 3, 3), np.float32)},
    )
    with pytest.raises(ModelError, match="onnxruntime refuses the network"):
        convert(onnx_network(model))


def test_nodes_without_names_that_are_split_get_names_of_their_own() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { a = Relu(x) b = Sum(x, a, x) y = Sum(b, a, x) }"
    )
    assert convert(onnx_network(model)).model_bytes
