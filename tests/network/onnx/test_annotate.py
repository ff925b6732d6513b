from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from npu_tune.network.onnx.annotate import annotate_onnx
from npu_tune.network.zoo import zoo_network


def texts(properties) -> dict[str, str]:
    return {each.key: each.value for each in properties}


def outputs_of(content: bytes) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content)
    random = np.random.default_rng(0)
    feeds = {each.name: random.random(each.shape, np.float32) for each in session.get_inputs()}
    return session.run(None, feeds)


def test_nodes_and_model_get_metadata_and_the_checker_is_content():
    network = zoo_network("ds-cnn", format="onnx")
    layer = network.layers[2]
    content = annotate_onnx(
        network.model_bytes, metadata={"a": "1"}, nodes={layer.name: {"cost": "5"}}
    )
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert texts(model.metadata_props)["a"] == "1"
    noted = [node for node in model.graph.node if texts(node.metadata_props)]
    assert [(node.output[0], texts(node.metadata_props)) for node in noted] == [
        (layer.outputs[0], {"cost": "5"})
    ]


def test_what_has_no_node_is_said_of_the_model():
    content = annotate_onnx(
        zoo_network("ds-cnn", format="onnx").model_bytes,
        metadata={},
        nodes={"other": {"cost": "5"}},
    )
    assert texts(onnx.load_model_from_string(content).metadata_props)["other: cost"] == "5"


def test_what_is_written_again_replaces_what_was_there():
    network = zoo_network("ds-cnn", format="onnx")
    content = network.model_bytes
    for value in ("5", "6"):
        nodes = {network.layers[0].name: {"cost": value}}
        content = annotate_onnx(content, metadata={"a": value}, nodes=nodes)
    model = onnx.load_model_from_string(content)
    assert [(each.key, each.value) for each in model.metadata_props if each.key == "a"] == [
        ("a", "6")
    ]
    assert [each.value for node in model.graph.node for each in node.metadata_props] == ["6"]


def test_onnxruntime_computes_the_same():
    network = zoo_network("ds-cnn", format="onnx")
    nodes = {layer.name: {"cost": "5"} for layer in network.layers}
    content = annotate_onnx(network.model_bytes, metadata={"a": "1"}, nodes=nodes)
    for before, after in zip(outputs_of(network.model_bytes), outputs_of(content), strict=True):
        np.testing.assert_array_equal(before, after)
