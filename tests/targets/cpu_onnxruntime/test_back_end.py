from __future__ import annotations

import onnx
import pytest
from measured_cases import feeds_of, graph_of, separable_network
from small_networks import network_of
from two_runtimes import onnx_network

from npu_tune.network import Network, zoo_network
from npu_tune.targets.cpu_onnxruntime.back_end import OnnxRuntimeBackEnd
from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS
from npu_tune.targets.cpu_onnxruntime.knobs import OPTIMIZATION, layers_in_int8


def back_end_of(network: Network) -> OnnxRuntimeBackEnd:
    layered = graph_of(network)
    return OnnxRuntimeBackEnd(layered, feeds_of(layered.graph, 2), (1,))


def mixes(back_end: OnnxRuntimeBackEnd):
    names = [layer.name for layer in back_end.layers]
    return [
        back_end.space.default,
        back_end.in_int8(names),
        back_end.in_int8(names[::2]),
        back_end.in_int8(names[1::2]),
    ]


def timed_names(back_end: OnnxRuntimeBackEnd, configuration, folder) -> list[str]:
    options = back_end.write(configuration, folder)
    feed = back_end._feeds[0]
    return list(back_end.engine.load(folder, options, profile=True).layer_seconds(feed))


@pytest.mark.parametrize("level", OPTIMIZATIONS)
@pytest.mark.parametrize("network", ["separable", "ds-cnn", "resnet8"])
def test_everything_that_onnxruntime_times_belongs_to_a_layer(tmp_path, network, level):
    read = separable_network() if network == "separable" else zoo_network(network, format="onnx")
    back_end = back_end_of(read)
    layers = {layer.name for layer in back_end.layers}
    for configuration in mixes(back_end):
        names = timed_names(back_end, configuration.replace({OPTIMIZATION: level}), tmp_path)
        assert names
        strangers = [name for name in names if back_end.layer_of(name) not in layers]
        # What onnxruntime puts between them to change the layout is named by what it does.
        own = ("Reorder", "Transpose", "QuantizeLinear", "DequantizeLinear")
        assert all(name.startswith(own) for name in strangers)
        assert {back_end.layer_of(name) for name in names} >= {
            layer.name for layer in back_end.layers if layer.is_product
        }


def test_no_profile_is_left_behind(tmp_path):
    back_end = back_end_of(separable_network())
    timed_names(back_end, back_end.space.default, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("model.")] == []


def test_names_of_nodes_that_are_names_of_other_tensors_mislead_nobody(tmp_path):
    model = onnx.load_from_string(separable_network().model_bytes)
    for node in model.graph.node:
        node.name = {"c1": "r2", "c2": "c3", "c3": "c1"}.get(node.output[0], "")
    back_end = back_end_of(onnx_network(model))
    assert [layer.name for layer in back_end.layers][:3] == ["r2", "c3", "c1"]
    for configuration in mixes(back_end):
        names = timed_names(back_end, configuration.replace({OPTIMIZATION: "disabled"}), tmp_path)
        found = {name: back_end.layer_of(name) for name in names}
        for tensor, layer in [("c1", "r2"), ("c2", "c3"), ("c3", "c1")]:
            mine = [name for name in found if name.startswith(tensor)]
            assert mine
            assert {found[name] for name in mine} == {layer}


def test_names_that_begin_alike_are_not_taken_for_each_other(tmp_path):
    network = network_of(
        "a_1 = Sigmoid(x) a = Conv(x, v) b = Conv(a_1, w) y = Add(a, b)",
        {"v": (4, 4, 1, 1), "w": (4, 4, 1, 1)},
        inputs="float[1,4,6,6] x",
    )
    back_end = back_end_of(network)
    for configuration in mixes(back_end):
        timed_names(back_end, configuration, tmp_path)
        assert back_end.layer_of("a") == "a"
        assert back_end.layer_of("a_1") == ""


@pytest.mark.parametrize("of_it", [slice(None), slice(0, 0), slice(None, None, 2)])
def test_the_constants_of_layers_are_those_of_the_file(tmp_path, of_it):
    back_end = back_end_of(separable_network())
    configuration = back_end.in_int8([layer.name for layer in back_end.layers][of_it])
    back_end.write(configuration, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    sizes = {t.name: onnx.numpy_helper.to_array(t).nbytes for t in model.graph.initializer}
    # Scales and zero points of tensors between the layers are nobody's.
    between = sum(size for name, size in sizes.items() if name.endswith((":scale", ":zero")))
    assert sum(back_end.constant_bytes(configuration).values()) == sum(sizes.values()) - between


def test_a_layer_alone_is_in_int8_with_its_own_range():
    back_end = back_end_of(separable_network())
    names = [layer.name for layer in back_end.layers]
    whole = back_end.in_int8(names).replace({"c1/range": "mse", "c2/range": "p99.9"})
    alone = back_end.noisy_choice(whole, "c1")
    assert layers_in_int8(alone) == {"c1"}
    assert alone["c1/range"] == "mse"
    assert alone["c2/range"] == "minmax"
    assert back_end.noisy_choice(back_end.space.default, "c1") is None


def test_work_is_that_of_the_layer():
    back_end = back_end_of(separable_network())
    assert {layer.name: back_end.work(layer.name) for layer in back_end.layers} == {
        "c1": 8 * 16 * 16 * 27,
        "c2": 8 * 8 * 8 * 9,
        "c3": 8 * 8 * 8 * 8,
        "s1": 8 * 8 * 8,
        "y": 40,
    }
