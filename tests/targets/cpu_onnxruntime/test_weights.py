from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from measured_cases import feeds_of, graph_of
from small_networks import network_of

from npu_tune.targets.cpu_onnxruntime.back_end import OnnxRuntimeBackEnd
from npu_tune.targets.cpu_onnxruntime.weights import WEIGHTS, WeightsFile

ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.int8, np.uint8, np.int32]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=40),
    fill=st.just(1),
)


@given(st.lists(ARRAYS, max_size=6))
def test_constants_come_back_as_they_were(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("weights")
    with WeightsFile(folder / WEIGHTS) as weights:
        tensors = [weights.add(f"t{i}", value) for i, value in enumerate(arrays)]
    for tensor, value in zip(tensors, arrays, strict=True):
        found = onnx.numpy_helper.to_array(tensor, base_dir=str(folder))
        assert found.dtype == value.dtype
        np.testing.assert_array_equal(found, value)


def test_what_is_large_begins_at_a_page_and_what_is_small_stays_in_the_model(tmp_path):
    with WeightsFile(tmp_path / WEIGHTS) as weights:
        small = weights.add("small", np.zeros(255, np.float32))
        first = weights.add("first", np.ones(300, np.float32))
        second = weights.add("second", np.full(300, 2, np.float32))
    assert small.data_location == onnx.TensorProto.DEFAULT
    offsets = [
        int(entry.value)
        for tensor in (first, second)
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert offsets == [0, 4096]


def test_without_large_constants_there_is_no_file(tmp_path):
    with WeightsFile(tmp_path / WEIGHTS) as weights:
        weights.add("small", np.zeros(4, np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_int8", [(), ("c",)])
def test_weights_stand_in_a_file_of_their_own(tmp_path, in_int8):
    network = network_of(
        "c = Conv(x, w) y = Relu(c)", {"w": (32, 64, 1, 1)}, inputs="float[1,64,4,4] x"
    )
    layered = graph_of(network)
    back_end = OnnxRuntimeBackEnd(layered, feeds_of(layered.graph), (1,))
    back_end.write(back_end.in_int8(in_int8), tmp_path)
    assert (tmp_path / WEIGHTS).stat().st_size == 32 * 64 * (1 if in_int8 else 4)
    assert (tmp_path / "model.onnx").stat().st_size < 2048
