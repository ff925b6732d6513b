from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes, read_network

FILES = {
    # file: layers, type of the input
    "match_resnet8_fp16": (36, "float16"),
    "match_kws_dscnn_fp16": (24, "float16"),
    "ultraface_slim_320_simplified": (95, "float32"),
}


@pytest.mark.parametrize("name", FILES)
def test_real_files_are_read_whole(shared_models: Path, name: str) -> None:
    network = read_network(shared_models / "onnx" / f"{name}.onnx")

    assert (len(network.layers), network.tensors[network.inputs[0]].dtype) == FILES[name]
    assert network.is_float
    assert len(network.inputs) == 1
    for layer in network.layers:
        assert all(label in network.tensors for label in (*layer.inputs, *layer.outputs) if label)
        assert layer.name.isprintable()


def test_attributes_are_plain_values() -> None:
    network = onnx_network(
        onnx_model(
            '(float[1,3,8,8] x) => (float y) { y = Conv<pads=[1,1,1,1], auto_pad="NOTSET">(x, w) }',
            {"w": np.ones((4, 3, 3, 3), np.float32)},
        )
    )
    assert dict(network.layers[0].attributes) == {"pads": (1, 1, 1, 1), "auto_pad": "NOTSET"}


def test_an_open_batch_becomes_one() -> None:
    network = onnx_network(onnx_model("(float[N,3,8,8] x) => (float y) { y = Relu(x) }"))
    assert network.tensors["x"].shape == (1, 3, 8, 8)
    assert network.tensors["y"].shape == (1, 3, 8, 8)


def test_other_open_sizes_are_refused_with_the_name_of_the_input() -> None:
    model = onnx_model("(float[N,3,height,width] picture) => (float y) { y = Relu(picture) }")
    with pytest.raises(ModelError, match=r"'picture'.*height, width"):
        onnx_network(model)


def test_an_output_without_elements_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"output 'y'.*no elements"):
        onnx_network(onnx_model("(float[1,0,8,8] x) => (float y) { y = Relu(x) }"))


def test_other_tensors_without_elements_are_read() -> None:
    model = onnx_model(
        "(float[1,8] x, float[0] like) => (float y)"
        "{ e = Slice(x, s, s, s1) c = CastLike(x, like) y = Concat<axis=1>(c, e) }",
        {"s": np.asarray([0]), "s1": np.asarray([1])},
        opset=15,
    )
    network = onnx_network(model)
    assert network.tensors["e"].shape == (1, 0)
    assert network.tensors["like"].shape == (0,)
    assert network.tensors["y"].shape == (1, 8)


def test_sizes_that_the_network_computes_are_known() -> None:
    model = onnx_model(
        "(float[1,2,3,4] x) => (float y)"
        "{ s = Shape(x) n = Gather(s, zero) m = Unsqueeze(n, first) t = Concat<axis=0>(m, rest)"
        "  y = Reshape(x, t) }",
        {"zero": np.asarray(0), "first": np.asarray([0]), "rest": np.asarray([-1])},
    )
    assert onnx_network(model).tensors["y"].shape == (1, 24)


def test_sizes_that_depend_on_values_are_refused() -> None:
    model = onnx_model("(float[1,8] x) => (float y) { i = NonZero(x) y = Cast<to=1>(i) }")
    with pytest.raises(ModelError, match="not known before run time"):
        onnx_network(model)


def _with_external_weights(folder: Path) -> Path:
    model = onnx_model(
        "(float[1,3,8,8] x) => (float y) { y = Conv(x, kernel) }",
        {"kernel": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)},
    )
    file = folder / "apart.onnx"
    onnx.save(model, file, save_as_external_data=True, location="apart.weights", size_threshold=0)
    return file


def test_external_weights_become_part_of_the_network(tmp_path: Path) -> None:
    file = _with_external_weights(tmp_path)
    network = read_network(file)

    again = network_from_bytes(network.model_bytes, "onnx", "again")
    kernel = again.tensors["kernel"].data
    assert kernel is not None
    assert np.array_equal(kernel, network.tensors["kernel"].data)


def test_missing_external_weights_are_named(tmp_path: Path) -> None:
    file = _with_external_weights(tmp_path)
    (tmp_path / "apart.weights").unlink()
    with pytest.raises(ModelError, match=r"'kernel'.*'apart.weights'"):
        read_network(file)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(shared_models: Path, share: float) -> None:
    whole = (shared_models / "onnx" / "match_resnet8_fp16.onnx").read_bytes()
    with pytest.raises(ModelError) as caught:
        network_from_bytes(whole[: int(len(whole) * share)], "onnx", "truncated")
    assert caught.value.remedy


def test_a_network_that_contradicts_itself_is_refused() -> None:
    model = onnx_model(
        "(float[1,3,8,8] x) => (float y) { y = Add(x, w) }", {"w": np.ones(5, np.float32)}
    )
    with pytest.raises(ModelError, match="contradicts itself"):
        onnx_network(model)


def test_weights_shorter_than_their_shape_are_refused() -> None:
    weights = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    weights.raw_data = weights.raw_data[:-8]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "short",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6])],
        [weights],
    )
    with pytest.raises(ModelError, match=r"'w'.*damaged"):
        onnx_network(helper.make_model(graph))
