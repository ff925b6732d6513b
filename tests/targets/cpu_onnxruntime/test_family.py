from __future__ import annotations

import pickle

import numpy as np
import pytest
from measured_cases import separable_network

from npu_tune.errors import ModelError, ModelFormatError, TargetError
from npu_tune.network import load_network
from npu_tune.targets import CalibratedTarget, load_target
from npu_tune.targets.cpu_onnxruntime import OnnxRuntimeFamily, OnnxRuntimeTarget
from npu_tune.targets.measured.machine import machine_name, usable_cores

NAME = "cpu-onnxruntime"


@pytest.fixture
def labelled(tmp_path):
    """Writes labelled samples of the separable network and returns the target's options."""

    def save(labels, name="data.npz") -> dict[str, str]:
        inputs = np.zeros((len(labels), 3, 16, 16), np.float32)
        np.savez(tmp_path / name, x=inputs, labels=labels)
        return {"data": str(tmp_path / name)}

    return save


def test_the_family_has_one_name_and_says_what_is_measured():
    family = OnnxRuntimeFamily()
    assert family.names() == (NAME,)
    assert machine_name() in family.describe(NAME)
    assert isinstance(load_target(NAME), CalibratedTarget)


@pytest.mark.parametrize(
    "options", [{"no_such": 1}, {"threads": "two"}, {"data": 3}, {"accuracy": "a:b"}]
)
def test_unknown_options_and_values_are_refused(options):
    with pytest.raises(TargetError):
        load_target(NAME, options)


def test_an_unknown_name_is_refused():
    with pytest.raises(TargetError, match="cpu-onnxruntim'"):
        OnnxRuntimeFamily().make("cpu-onnxruntim", {})


def test_another_machine_is_refused_when_a_network_is_bound():
    target = OnnxRuntimeTarget("Some other processor, 64 cores")
    with pytest.raises(TargetError, match="64 cores"):
        target.bind(separable_network())


def test_more_threads_than_cores_are_refused_when_a_network_is_bound():
    target = load_target(NAME, {"threads": [1, len(usable_cores()) + 1]})
    with pytest.raises(TargetError, match="threads"):
        target.bind(separable_network())


def test_tflite_is_refused_as_a_format():
    with pytest.raises(ModelFormatError):
        load_target(NAME).bind(load_network("ds-cnn"))


def test_calibration_that_does_not_fit_is_refused_when_a_network_is_bound():
    target = load_target(NAME).calibrated({"x": np.zeros((3, 3, 8, 8), np.float32)})
    with pytest.raises(ModelError, match="shape"):
        target.bind(separable_network())


def test_the_fingerprint_changes_with_data_labels_and_threads(labelled):
    one = load_target(NAME)
    inputs = np.zeros((2, 3, 16, 16), np.float32)
    others = [
        one,
        one.calibrated({"x": inputs}),
        one.calibrated({"x": inputs + 1}),
        load_target(NAME, {"threads": 2}),
        load_target(NAME, {"threads": [1, 2]}),
        load_target(NAME, labelled([0, 1])),
        load_target(NAME, labelled([1, 0], "other.npz")),
        load_target(NAME, {**labelled([0, 1]), "accuracy": "math:dist"}),
    ]
    fingerprints = {tuple(each.fingerprint().items()) for each in others}
    assert len(fingerprints) == len(others)
    assert load_target(NAME).fingerprint() == one.fingerprint()


def test_the_fingerprint_does_not_depend_on_where_the_data_lie(labelled):
    one, same = (load_target(NAME, labelled([0, 1], name)) for name in ("a.npz", "b.npz"))
    assert one.fingerprint() == same.fingerprint()


def test_accuracy_is_a_metric_where_there_are_labels(labelled):
    plain = {metric.name for metric in load_target(NAME).metrics}
    with_labels = {metric.name for metric in load_target(NAME, labelled([0])).metrics}
    assert with_labels - plain == {"accuracy", "accuracy_drop"}
    assert plain < with_labels


def test_a_target_survives_pickling_with_its_data(labelled):
    target = load_target(NAME, labelled([0, 1])).calibrated(
        {"x": np.ones((2, 3, 16, 16), np.float32)}
    )
    again = pickle.loads(pickle.dumps(target))  # noqa: S301 - made here
    assert again == target
    assert again.fingerprint() == target.fingerprint()
    assert again.data.labelled.labels.tolist() == [0, 1]
