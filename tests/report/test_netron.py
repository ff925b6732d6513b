from __future__ import annotations

import json
from dataclasses import replace

import onnx
import pytest
import tflite
from study_results import study_result

from npu_tune.errors import ModelFormatError
from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.report.netron import (
    annotated_model,
    layer_texts,
    netron_attachment,
    write_annotated_model,
    write_netron_files,
)
from npu_tune.report.origin import FileOrigin
from npu_tune.targets import ProfileSchema

ORIGIN = FileOrigin("s", 5, "npu-tune report s --netron out.tflite")


@pytest.fixture(params=["onnx", "tflite"])
def network(request) -> Network:
    return zoo_network("ds-cnn", format=request.param)


def result_of(network: Network):
    """A study of the network whose profile has a row for its third layer and for one of its own."""
    result = study_result()
    name = network.layers[2].name
    before = {name: {"cycles": 40.0, "bus": 40.0}, "made up": {"cycles": 60.0}}
    after = {name: {"cycles": 30.0, "bus": 3.0}, "made up": {"cycles": 60.0}}
    profiles = {result.baseline.number: before, result.best.number: after}
    trials = tuple(replace(t, profile=profiles.get(t.number, {})) for t in result.trials)
    schema = ProfileSchema(causes={"bus": "flash"})
    return replace(result, trials=trials, profile=schema)


def test_a_layer_has_cost_share_cause_and_columns_before_and_after(network):
    result = result_of(network)
    assert layer_texts(result, result.best)[network.layers[2].name] == {
        "cost": "40 -> 30 cycles (0.750)",
        "share of the cost": "40.0% -> 33.3%",
        "bound by": "flash",
        "bus": "40 -> 3",
    }
    assert layer_texts(result, result.best)["made up"]["cost"] == "60 cycles"


def test_an_onnx_node_carries_what_is_said_of_its_layer():
    network = zoo_network("ds-cnn", format="onnx")
    result = result_of(network)
    model = onnx.load_model_from_string(annotated_model(result, result.best, network, ORIGIN))
    (node,) = [node for node in model.graph.node if node.metadata_props]
    assert node.output[0] == network.layers[2].outputs[0]
    assert {e.key: e.value for e in node.metadata_props}["cost"] == "40 -> 30 cycles (0.750)"
    of_model = {each.key: each.value for each in model.metadata_props}
    assert of_model["npu-tune"].startswith(f"trial {result.best.number} of tiny-study for toy-1")
    assert of_model["made up: cost"] == "60 cycles"
    assert of_model["knob strategy"] == "Performance -> Size"


def test_a_tflite_operator_has_its_cost_in_the_name_of_its_output():
    network = zoo_network("ds-cnn", format="tflite")
    result = result_of(network)
    model = tflite.Model.GetRootAs(annotated_model(result, result.best, network, ORIGIN), 0)
    graph = model.Subgraphs(0)
    name = graph.Tensors(graph.Operators(2).Outputs(0)).Name().decode()
    assert name == f"{network.layers[2].outputs[0]} [40 -> 30 cycles (0.750)]"


def test_metadata_of_a_tflite_model_are_as_netron_shows_them():
    network = zoo_network("ds-cnn", format="tflite")
    result = replace(result_of(network), name="Prüfung\n" * 90)
    model = tflite.Model.GetRootAs(annotated_model(result, result.best, network, ORIGIN), 0)
    for index in range(model.MetadataLength()):
        text = model.Buffers(model.Metadata(index).Buffer()).DataAsNumpy()
        assert len(text) < 256
        assert ((text >= 32) & (text < 128)).all()


def test_an_attachment_counts_operators_as_netron_does():
    network = zoo_network("ds-cnn", format="tflite")
    result = result_of(network)
    attachment = netron_attachment(result, result.best, network)
    assert attachment["signature"] == "netron:attachment"
    assert {
        "kind": "node", "identifier": "2", "name": "cost", "value": "40 -> 30 cycles (0.750)"
    } in attachment["metadata"]  # fmt: skip
    json.dumps(attachment)


def test_a_file_is_copied_with_the_figures_in_it(network, tmp_path):
    result = result_of(network)
    source, out = (tmp_path / f"{name}.{network.format}" for name in ("source", "out"))
    source.write_bytes(network.model_bytes)
    write_annotated_model(result, result.best, source, out, origin=ORIGIN)
    assert out.read_bytes() == annotated_model(result, result.best, network, ORIGIN)


def test_a_model_that_takes_no_texts_gets_no_files(tmp_path):
    network = replace(zoo_network("ds-cnn", format="tflite"), format="tosa")
    result = study_result()
    with pytest.raises(ModelFormatError):
        annotated_model(result, result.best, network, ORIGIN)
    assert write_netron_files(result, result.best, network, tmp_path, ORIGIN) == {}
    assert list(tmp_path.iterdir()) == []
