from __future__ import annotations

import numpy as np
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter
from vela_operators import SmallTflite

from npu_tune.errors import ModelError
from npu_tune.network.tflite.annotate import annotate_tflite
from npu_tune.network.tflite.reader import read_tflite
from npu_tune.network.zoo import zoo_network


@pytest.fixture(scope="module")
def original() -> bytes:
    return zoo_network("ds-cnn", format="tflite").model_bytes


def metadata_of(content: bytes) -> dict[str, str]:
    model = tflite.Model.GetRootAs(content, 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    return {
        entry.Name().decode(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode()
        for entry in entries
    }


def outputs_of(content: bytes, seed: int = 0) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    random = np.random.default_rng(seed)
    for each in interpreter.get_input_details():
        values = random.integers(-128, 128, each["shape"]).astype(each["dtype"])
        interpreter.set_tensor(each["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


def test_metadata_are_added_to_those_that_are_there(original):
    once = annotate_tflite(original, metadata={"a": "1", "b": "two"}, operators={})
    twice = annotate_tflite(once, metadata={"c": "x" * 300}, operators={})
    assert metadata_of(twice) == {**metadata_of(original), "a": "1", "b": "two", "c": "x" * 300}


def test_the_output_of_an_operator_gets_a_longer_name(original):
    network = read_tflite(original, name="ds-cnn")
    annotated = annotate_tflite(original, metadata={}, operators={1: " [5]"})
    read = read_tflite(annotated, name="ds-cnn")
    names = {layer.outputs[0] for layer in read.layers}
    assert names - {layer.outputs[0] for layer in network.layers} == {
        f"{network.layers[1].outputs[0]} [5]"
    }


def test_the_outputs_of_the_network_keep_their_names(original):
    network = read_tflite(original, name="ds-cnn")
    everywhere = dict.fromkeys(range(len(network.layers)), " [5]")
    annotated = annotate_tflite(original, metadata={}, operators=everywhere)
    read = read_tflite(annotated, name="ds-cnn")
    assert (read.inputs, read.outputs) == (network.inputs, network.outputs)


def test_litert_computes_the_same(original):
    annotated = annotate_tflite(original, metadata={"a": "1"}, operators={0: " [5]", 3: " [6]"})
    for before, after in zip(outputs_of(original), outputs_of(annotated), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_old_file_lies_in_the_new_one_byte_by_byte_but_for_references_to_names(original):
    annotated = annotate_tflite(original, metadata={"a": "1"}, operators={})
    assert annotated.endswith(original)


def test_a_network_of_one_operator_without_names_is_annotated():
    file = SmallTflite()
    file.tensor("", (1, 4, 4, 4))
    file.convolution("", "out", (1, 4, 4, 8), 4)
    content = file.network("small", [""], ["out"]).model_bytes
    assert metadata_of(annotate_tflite(content, metadata={"a": "1"}, operators={0: " [5]"})) == {
        "a": "1"
    }


def test_constants_outside_of_the_flatbuffer_are_refused(original, monkeypatch):
    monkeypatch.setattr("npu_tune.network.tflite.annotate._Old.scalar", lambda *_: 4096)
    with pytest.raises(ModelError, match="less than 2 GB"):
        annotate_tflite(original, metadata={}, operators={})


def test_a_list_that_nobody_reads_and_that_ends_behind_the_file_is_damage(original):
    content = bytearray(original)
    root = int.from_bytes(content[:4], "little")
    described = root - int.from_bytes(content[root : root + 4], "little", signed=True)
    place = root + int.from_bytes(content[described + 12 : described + 14], "little")
    buffers = place + int.from_bytes(content[place : place + 4], "little")
    content[buffers : buffers + 4] = (2**30).to_bytes(4, "little")
    with pytest.raises(ModelError, match="damaged"):
        annotate_tflite(bytes(content), metadata={}, operators={})
