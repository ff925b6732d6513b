from __future__ import annotations


def test_targets_lists_every_family_with_its_options(npu_tune, here):
    document = npu_tune("targets", "--json").document
    fake = next(family for family in document["families"] if family["family"] == "fake")
    assert {"name": "fake-npu", "description": "adds up made-up cycles"} in fake["targets"]
    assert fake["options"]["version"] == "text; of the made-up compiler"


def test_targets_is_a_table_for_people(npu_tune, here):
    ended = npu_tune("targets")
    assert ended.code == 0, ended.err
    assert "fake-npu" in ended.out
    assert "ethos-u55-128" in ended.out


def test_space_lists_the_knobs_with_the_default_in_brackets(npu_tune, here):
    ended = npu_tune("space", "ds-cnn", "--target", "fake-npu")
    assert ended.code == 0, ended.err
    assert "[size] speed" in ended.out


def test_space_answers_in_the_schema(npu_tune, here):
    document = npu_tune("space", "ds-cnn", "--target", "fake-npu", "--json").document
    assert document["model"]["name"] == "ds-cnn"
    assert document["space"]["layers"][0]["knobs"][0]["default"] == "size"
    assert document["target"]["fingerprint"]["version"] == "1"


def test_space_of_an_unknown_target_names_the_known_ones(npu_tune, here):
    ended = npu_tune("space", "ds-cnn", "--target", "fake")
    assert ended.code == 4
    assert "fake-npu" in ended.err


def test_convert_writes_an_int8_file_and_warns_about_random_calibration(npu_tune, here):
    from npu_tune.network import read_network, zoo_network

    (here / "float.onnx").write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    ended = npu_tune("convert", "float.onnx", "--out", "sub/int8.tflite", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["bytes"] == (here / "sub/int8.tflite").stat().st_size
    assert "npu-tune: warning:" in ended.err
    network = read_network(here / "sub/int8.tflite")
    assert not network.is_float


def test_convert_does_not_write_over_the_model_itself(npu_tune, here):
    from npu_tune.network import zoo_network

    model = here / "float.onnx"
    model.write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    before = model.read_bytes()
    ended = npu_tune("convert", "float.onnx", "--out", "./float.onnx")
    assert ended.code == 2
    assert "--out" in ended.err
    assert model.read_bytes() == before


def test_convert_takes_calibration_data(npu_tune, here):
    import numpy as np

    from npu_tune.network import zoo_network

    network = zoo_network("ds-cnn", format="onnx")
    (here / "float.onnx").write_bytes(network.model_bytes)
    name = network.inputs[0]
    shape = network.tensors[name].shape
    samples = np.random.default_rng(0).normal(size=(8, *shape[1:])).astype(np.float32)
    np.savez(here / "samples.npz", **{name: samples})
    ended = npu_tune("convert", "float.onnx", "--out", "o.tflite", "--calibration", "samples.npz")
    assert ended.code == 0, ended.err
    assert not ended.err
    assert "Wrote o.tflite" in ended.out


def test_calibration_data_for_a_tflite_file_are_refused(npu_tune, here):
    assert npu_tune("convert", "ds-cnn", "--out", "o.tflite").code == 0
    ended = npu_tune("convert", "o.tflite", "--out", "p.tflite", "--calibration", "samples.npz")
    assert ended.code == 2
    assert "calibration data are of no use" in ended.err
    assert not (here / "p.tflite").exists()


def test_convert_of_a_missing_file_is_a_model_error(npu_tune, here):
    assert npu_tune("convert", "nowhere.onnx", "--out", "o.tflite").code == 3
