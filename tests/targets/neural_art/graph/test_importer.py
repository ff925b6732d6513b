"""Whole networks: the built-in ones, real files, the ones that the onnx package ships."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from imported_graphs import check_graph, imported, kinds, sizes
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import Network, load_network
from npu_tune.network.macs import network_macs
from npu_tune.network.zoo import zoo_network
from npu_tune.network.zoo.catalogue import ZOO as ZOO_FAMILIES
from npu_tune.targets.neural_art.graph import OperationGraph, OperationKind, graph_of

ZOO = (
    "resnet8",
    "ds-cnn",
    "autoencoder",
    "mobilenet-v1-0.25-96",
    "mobilenet-v2-0.35-96",
    "squeezenet",
    "yolo-tiny",
)
SHARED = (
    "onnx/match_kws_dscnn_fp16.onnx",
    "onnx/match_resnet8_fp16.onnx",
    "onnx/ultraface_slim_320_simplified.onnx",
    "tflite/armzoo_ds_cnn_small_int16.tflite",
    "tflite/armzoo_har_cnn.tflite",
    "tflite/coral_mobilenet_v1_0.25_128.tflite",
    "tflite/coral_mobilenet_v1_0.5_160.tflite",
    "tflite/coral_tf2_mobilenet_v2_1.0_224_ptq.tflite",
    "tflite/emza_yolo_fastest_face_320.tflite",
    "tflite/mcunet_vww.tflite",
    "tflite/mlperf_ad_autoencoder.tflite",
    "tflite/mlperf_ic_resnet8.tflite",
    "tflite/mlperf_kws_dscnn.tflite",
    "tflite/mlperf_sww_streaming.tflite",
    "tflite/mlperf_vww_mobilenetv1_025.tflite",
    "tflite/tflm_micro_speech.tflite",
    "tflite/tflm_person_detect.tflite",
    "tflite/ultraface_slim_320_f32.tflite",
)
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LIGHT_SOFTWARE = {
    "light_bvlc_alexnet": ["LRN", "LRN", "Softmax"],
    "light_densenet121": ["BatchNormalization"] * 62,
    "light_inception_v1": ["LRN", "LRN", "Softmax"],
    "light_inception_v2": ["Softmax"],
    "light_resnet50": ["Softmax"],
    "light_shufflenet": ["Softmax"],
    "light_squeezenet": ["Softmax"],
    "light_vgg19": ["Softmax"],
    "light_zfnet512": ["LRN", "LRN", "Softmax"],
}


def checked(network: Network) -> OperationGraph:
    graph = graph_of(network)
    check_graph(graph)
    assert sum(operation.macs for operation in graph.operations) == network_macs(network)
    return graph


def software(graph: OperationGraph) -> list[str]:
    return [
        operation.op for operation in graph.operations if operation.kind is OperationKind.SOFTWARE
    ]


def weights(graph: OperationGraph) -> list[tuple[int, int]]:
    return [
        (operation.weights.elements, operation.weights.bias_channels)
        for operation in graph.operations
        if operation.weights is not None
    ]


@pytest.mark.parametrize("name", ZOO)
def test_a_float_network_and_its_int8_form_give_the_same_graph(name: str) -> None:
    real, integer = (
        checked(zoo_network(name)),
        checked(zoo_network(name, format="tflite")),
    )
    assert kinds(real) == kinds(integer)
    assert sorted(weights(real)) == sorted(weights(integer))
    assert [
        (op.kernel, op.stride, op.groups, op.macs, op.global_pool) for op in real.operations
    ] == [(op.kernel, op.stride, op.groups, op.macs, op.global_pool) for op in integer.operations]
    assert [sizes(real.maps[op.output]) for op in real.operations] == [
        sizes(integer.maps[op.output]) for op in integer.operations
    ]
    for one, other in zip(real.operations, integer.operations, strict=True):
        if one.weights is not None and other.weights is not None:
            difference = abs(one.weights.entropy_bits - other.weights.entropy_bits)
            # The converter evens channels out between layers before it quantizes.
            assert difference < 1.0, one.name


def test_resnet8_is_what_its_paper_says() -> None:
    graph = checked(zoo_network("resnet8"))
    wanted = {"convolution": 10, "arithmetic+relu": 3, "pool": 1, "software": 1}
    found = [kind.replace("convolution+relu", "convolution") for kind in kinds(graph)]
    assert {kind: found.count(kind) for kind in found} == wanted
    assert graph.inputs == ("image",)
    assert graph.outputs == ("probabilities",)
    assert not graph.is_chain
    assert checked(zoo_network("ds-cnn")).is_chain


@pytest.mark.parametrize("name", ZOO_FAMILIES)
def test_of_the_built_in_networks_softmax_and_normalization_alone_are_software(name: str) -> None:
    graph = checked(zoo_network(name))
    alone = ["BatchNormalization"] * 17 if name == "resnet50-v2" else []
    assert software(graph) in (alone, [*alone, "Softmax"])
    assert not any(operation.kind is OperationKind.ACTIVATION for operation in graph.operations)


def test_efficientnet_fuses_every_swish_and_gate() -> None:
    graph = checked(zoo_network("efficientnet-v2-b0"))
    found = [operation.kind for operation in graph.operations]
    pools = [operation for operation in graph.operations if operation.kind is OperationKind.POOL]
    assert OperationKind.COPY not in found
    assert all(operation.global_pool for operation in pools)
    gated = [
        operation
        for operation in graph.operations
        if operation.op == "Mul" and sizes(graph.maps[operation.inputs[1]])[1:] == (1, 1)
    ]
    assert len(gated) == len(pools) - 1 > 10


@pytest.mark.parametrize("file", SHARED)
def test_real_files_are_imported_whole(shared_models: Path, file: str) -> None:
    graph = checked(load_network(shared_models / file))
    assert software(graph) in ([], ["Softmax"], ["SOFTMAX"])
    read = sum(op.weights.elements for op in graph.operations if op.weights is not None)
    assert read > 10_000


def test_operations_keep_the_names_of_layers(shared_models: Path) -> None:
    network = load_network(shared_models / "onnx/ultraface_slim_320_simplified.onnx")
    layers = {layer.name: layer.op for layer in network.layers}
    for operation in graph_of(network).operations:
        assert layers[operation.name] == operation.op


@pytest.mark.parametrize("name", LIGHT_SOFTWARE)
def test_the_networks_of_the_onnx_package_are_imported(name: str) -> None:
    file = LIGHT / f"{name}.onnx"
    if not file.is_file():
        pytest.skip("the onnx package comes without its test data")
    graph = checked(load_network(file))
    assert software(graph) == LIGHT_SOFTWARE[name]
    assert all(
        operation.weights is None or operation.weights.entropy_bits < 1
        for operation in graph.operations
    )


def test_shufflenet_copies_once_per_shuffle_and_resnet50_never() -> None:
    if not LIGHT.is_dir():
        pytest.skip("the onnx package comes without its test data")
    shuffled = graph_of(load_network(LIGHT / "light_shufflenet.onnx"))
    copies = [
        operation.op for operation in shuffled.operations if operation.kind is OperationKind.COPY
    ]
    assert (copies.count("Transpose"), copies.count("Concat")) == (16, 3)
    residual = graph_of(load_network(LIGHT / "light_resnet50.onnx"))
    assert [operation.kind for operation in residual.operations].count(
        OperationKind.CONVOLUTION
    ) == 54
    assert not any(operation.kind is OperationKind.COPY for operation in residual.operations)


@pytest.mark.parametrize("name", ["resnet8", "squeezenet"])
def test_importing_twice_gives_the_same(name: str) -> None:
    network = zoo_network(name)
    assert graph_of(network) == graph_of(network)


def test_a_vector_that_becomes_a_map_takes_the_shape_its_reader_sees() -> None:
    graph = imported(
        "a = Reshape(x, s) y = Conv(a, w)",
        {"w": (4, 1, 3, 3)},
        {"s": np.asarray([1, 1, 49, 40])},
        inputs="float[1,1960] x",
    )
    assert sizes(graph.maps["x"]) == (1, 49, 40)


def test_an_output_that_is_a_view_is_its_source() -> None:
    graph = imported("a = Relu(x) y = Flatten(a)")
    assert graph.outputs == ("a",)


def test_an_output_that_is_an_input_is_left_out_with_a_note() -> None:
    graph = imported("y = Relu(x) z = Identity(x)", outputs="float y, float z")
    assert graph.outputs == ("y",)
    assert any("'x'" in note for note in graph.notes)


def test_a_network_of_views_is_refused() -> None:
    with pytest.raises(ModelError, match="computes nothing"):
        imported("y = Flatten(x)")


def test_an_output_without_inputs_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="'z' of 'test' does not depend on any input"):
        imported("y = Relu(x) z = Mul(c, c)", {"c": (3,)}, outputs="float y, float z")


def test_a_tosa_network_is_refused() -> None:
    with pytest.raises(ModelError, match="tosa"):
        graph_of(Network("net", "tosa", (), {}, (), (), b""))


def test_an_old_operator_set_is_converted_or_refused() -> None:
    assert [each.op for each in imported("y = Relu(x)", opset=6).operations] == ["Relu"]
    with pytest.raises(ModelError, match="operator set 6"):
        imported("y = Upsample<scales=[1.0, 1.0]>(x)", opset=6)


@pytest.mark.parametrize(
    ("shape", "message"), [("N,3,height,8", "not fixed"), ("1,3,0,8", "no elements")]
)
def test_shapes_without_sizes_are_refused(tmp_path: Path, shape: str, message: str) -> None:
    file = tmp_path / "net.onnx"
    model = onnx_model(f"(float[{shape}] x) => (float y) {{ y = Relu(x) }}")
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=message):
        graph_of(load_network(file))


def test_missing_external_weights_are_refused(tmp_path: Path) -> None:
    weights_of_it = np.ones((64, 64, 3, 3), np.float32)
    model = onnx_model("(float[1,64,8,8] x) => (float y) { y = Conv(x, w) }", {"w": weights_of_it})
    file = tmp_path / "net.onnx"
    onnx.save(model, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert graph_of(load_network(file)).operations[0].macs == 36 * math.prod(weights_of_it.shape)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin"):
        graph_of(load_network(file))


def test_layers_named_like_numbered_ones_stay_apart() -> None:
    model = onnx_model("(float[1,4,2,2] x) => (float y) { a, b = Split<axis=1>(x) y = Div(a, b) }")
    model.graph.node[0].name = "part"
    model.graph.node[1].name = "part"
    graph = graph_of(onnx_network(model))
    assert [operation.name for operation in graph.operations] == ["part", "part#3", "part#2"]
