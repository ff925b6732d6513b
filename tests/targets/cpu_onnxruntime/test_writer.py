from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measured_cases import feeds_of, graph_of, separable_network
from qdq_cases import small_networks
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.targets.cpu_onnxruntime.back_end import OnnxRuntimeBackEnd
from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS
from npu_tune.targets.cpu_onnxruntime.knobs import OPTIMIZATION
from npu_tune.targets.measured.calibration import METHODS
from npu_tune.targets.measured.fidelity import MOST_DB, make_fidelity
from npu_tune.targets.measured.layers import LayeredGraph

SANE_DB = 20.0
"""What int8 of a few layers keeps; a wrong scale or channel leaves less than nothing."""


def back_end_of(network: Network) -> OnnxRuntimeBackEnd:
    layered = graph_of(network)
    return OnnxRuntimeBackEnd(layered, feeds_of(layered.graph, 4), (1,))


def written(back_end: OnnxRuntimeBackEnd, configuration, folder) -> bytes:
    folder.mkdir(exist_ok=True)
    back_end.write(configuration, folder)
    return onnx.load(folder / "model.onnx").SerializeToString()  # with its weights


def run(content: bytes, level: str, feed) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, OPTIMIZATIONS[level]
    )
    return onnxruntime.InferenceSession(content, options).run(None, dict(feed))


def require_sound(content: bytes) -> onnx.ModelProto:
    """Checks what ONNX itself asks of a file, and that every name is made once."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    made = Counter(
        [
            *(value.name for value in graph.input),
            *(tensor.name for tensor in graph.initializer),
            *chain.from_iterable(node.output for node in graph.node),
        ]
    )
    assert [name for name, count in made.items() if name and count > 1] == []
    names = Counter(node.name for node in graph.node)
    assert [name for name, count in names.items() if count > 1] == []
    return model


@given(small_networks(), st.data())
@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_mix_of_layers_is_a_file_that_computes_nearly_the_same(tmp_path, network, data):
    try:
        layered = graph_of(network)
        feeds = tuple(feeds_of(layered.graph, 4))
        fidelity = make_fidelity(network, layered.graph, feeds, None)
    except ModelError:
        return
    back_end = OnnxRuntimeBackEnd(layered, feeds, (1,))
    changes = {}
    for layer in back_end.layers:
        changes[f"{layer.name}/precision"] = data.draw(st.sampled_from(["float32", "int8"]))
        changes[f"{layer.name}/range"] = data.draw(st.sampled_from(METHODS))
    configuration = back_end.space.configuration(changes)
    content = written(back_end, configuration, tmp_path)
    require_sound(content)
    in_int8 = "int8" in changes.values()
    for level in OPTIMIZATIONS:
        outputs = [run(content, level, feed) for feed in feeds]
        if all(np.all(value == 0) for outs in fidelity.reference for value in outs):
            continue
        decibels = fidelity.decibels(outputs)
        assert decibels > (SANE_DB if in_int8 else MOST_DB - 40), (level, configuration)


def test_a_file_without_int8_is_the_folded_network(tmp_path):
    back_end = back_end_of(separable_network())
    model = require_sound(written(back_end, back_end.space.default, tmp_path))
    graph = graph_of(separable_network()).graph
    assert [node.op_type for node in model.graph.node] == [node.op for node in graph.nodes]
    assert {tensor.name for tensor in model.graph.initializer} == set(graph.constants)


def test_in_int8_every_layer_stands_between_quantizers(tmp_path):
    back_end = back_end_of(separable_network())
    model = require_sound(
        written(back_end, back_end.in_int8([x.name for x in back_end.layers]), tmp_path)
    )
    quantized = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert set(node.input) <= quantized


def test_a_layer_left_in_float_reads_what_was_not_rounded(tmp_path):
    back_end = back_end_of(separable_network())
    model = require_sound(written(back_end, back_end.in_int8(["c3"]), tmp_path))
    nodes = {node.output[0]: node for node in model.graph.node}
    # r2 is rounded for c3 alone, m1 is as it was for the sum.
    (conv,) = [n for n in model.graph.node if n.op_type == "Conv" and n.input[0] != "m1"][-1:]
    assert nodes[conv.input[0]].op_type == "DequantizeLinear"
    (add,) = [n for n in model.graph.node if n.op_type == "Add"]
    assert add.input[0] == "m1"


def test_onnxruntime_computes_in_integers_what_is_in_int8(tmp_path):
    back_end = back_end_of(separable_network())
    content = written(back_end, back_end.in_int8([x.name for x in back_end.layers]), tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(content, options)
    operators = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert {"QLinearConv", "QLinearAdd", "QGemm"} <= operators
    assert not {"Conv", "Gemm", "Relu", "Add"} & operators


@pytest.mark.parametrize(
    "name", ["a:exact", "x:codes", "x:scale", "b:weights", "b:zeros", "b:real-weights", "b:", ":"]
)
@pytest.mark.parametrize("place", ["tensor", "weight", "output"])
def test_names_of_the_network_never_clash_with_those_of_quantizers(tmp_path, name, place):
    generator = np.random.default_rng(0)
    first, weight, last = "a", "w", "b"
    if place == "tensor":
        first = name
    elif place == "weight":
        weight = name
    else:
        last = name
    shape = [1, 4, 6, 6]
    values = {
        key: generator.normal(size=(4, 4, 1, 1)).astype(np.float32) for key in (weight, "w2")
    }
    model = onnx_model(
        "(float[1,4,6,6] x) => (float y) { a = Conv(x, w) b = Conv(a, w2) y = Add(a, b) }",
    )
    renamed = {"a": first, "w": weight, "b": last}
    for node in model.graph.node:
        node.input[:] = [renamed.get(each, each) for each in node.input]
        node.output[:] = [renamed.get(each, each) for each in node.output]
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, key) for key, value in values.items()
    )
    network = onnx_network(model)
    layered = graph_of(network)
    feeds = tuple(feeds_of(layered.graph, 4))
    assert layered.graph.shapes["x"] == tuple(shape)
    fidelity = make_fidelity(network, layered.graph, feeds, None)
    back_end = OnnxRuntimeBackEnd(layered, feeds, (1,))
    for some in (back_end.layers, back_end.layers[:1], back_end.layers[1:]):
        content = written(back_end, back_end.in_int8([x.name for x in some]), tmp_path)
        require_sound(content)
        assert fidelity.decibels([run(content, "all", feed) for feed in feeds]) > 25


@pytest.mark.parametrize("bias", [(5,), (1, 5), (5, 1), (1,), (5, 5), ()])
def test_a_bias_is_added_along_the_dimension_that_it_has(tmp_path, bias):
    generator = np.random.default_rng(4)
    values = {"w": generator.normal(size=(4, 5)), "b": generator.normal(size=bias)}
    network = onnx_network(
        onnx_model(
            "(float[5,4] x) => (float y) { y = Gemm(x, w, b) }",
            {name: np.asarray(value, np.float32) for name, value in values.items()},
        )
    )
    layered = graph_of(network)
    feeds = tuple(feeds_of(layered.graph, 4))
    fidelity = make_fidelity(network, layered.graph, feeds, None)
    back_end = OnnxRuntimeBackEnd(layered, feeds, (1,))
    content = written(back_end, back_end.in_int8([x.name for x in back_end.layers]), tmp_path)
    assert fidelity.decibels([run(content, "all", feed) for feed in feeds]) > 30


@pytest.mark.parametrize(
    ("outputs", "nodes"),
    [
        ("int64 y", "c = Conv(x, w) y = ArgMax<axis=1>(c)"),
        ("bool y, float c", "c = Conv(x, w) m = Relu(c) y = Greater(c, m)"),
        ("float x, float y", "y = Conv(x, w)"),
        ("float y, float w", "y = Conv(x, w)"),
        ("float y, float r", "c = Conv(x, w) r = Relu(c) y = Conv(r, w)"),
        ("float y", "c = Conv(x, w) d = Conv(c, w) y = Add(d, d)"),
        ("double y", "c = Conv(x, w) y = Cast<to=11>(c)"),
    ],
)
def test_outputs_of_any_type_and_place_are_written(tmp_path, outputs, nodes):
    weights = np.random.default_rng(2).normal(size=(4, 4, 1, 1)).astype(np.float32)
    model = onnx_model(f"(float[1,4,6,6] x) => ({outputs}) {{ {nodes} }}", {"w": weights})
    for value in model.graph.output:
        shape = {"x": (1, 4, 6, 6), "w": weights.shape}.get(value.name)
        if shape is not None:
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, 1, shape))
    network = onnx_network(model)
    layered = graph_of(network)
    feeds = tuple(feeds_of(layered.graph, 4))
    fidelity = make_fidelity(network, layered.graph, feeds, None)
    back_end = OnnxRuntimeBackEnd(layered, feeds, (1,))
    for some in (back_end.layers, ()):
        content = written(back_end, back_end.in_int8([x.name for x in some]), tmp_path)
        for level in OPTIMIZATIONS:
            outputs = [run(content, level, feed) for feed in feeds]
            assert [value.shape for value in outputs[0]] == [
                value.shape for value in fidelity.reference[0]
            ]
            assert fidelity.decibels(outputs) > (10 if some else 100)


def test_a_file_does_not_depend_on_what_was_written_before(tmp_path):
    network = separable_network()
    one, other = back_end_of(network), back_end_of(network)
    names = [layer.name for layer in one.layers]
    configurations = [
        one.in_int8(names),
        one.space.default,
        one.in_int8(names[::2]),
        one.in_int8(names).replace({"c1/range": "p99.9", "y/range": "mse"}),
        one.space.default.replace({OPTIMIZATION: "basic"}),
    ]
    forth = [written(one, each, tmp_path) for each in configurations]
    back = [written(other, each, tmp_path) for each in reversed(configurations)]
    assert forth == back[::-1]


def test_a_bias_that_is_too_great_for_int32_raises_the_scale_of_its_weights(tmp_path):
    model = onnx_model(
        "(float[1,4] x) => (float y) { y = Gemm(x, w, b) }",
        {
            "w": np.full((4, 3), 1e-8, np.float32),
            "b": np.array([1.0, -1000.0, 0.0], np.float32),
        },
    )
    network = onnx_network(model)
    layered: LayeredGraph = graph_of(network)
    feeds = tuple(feeds_of(layered.graph, 4))
    back_end = OnnxRuntimeBackEnd(layered, feeds, (1,))
    content = written(back_end, back_end.in_int8(["y"]), tmp_path)
    require_sound(content)
    for level in OPTIMIZATIONS:
        (found,) = run(content, level, feeds[0])
        np.testing.assert_allclose(found, [[1.0, -1000.0, 0.0]], atol=2.1)
