"""Targets that make int8 themselves: typical inputs reach them, and stay with the study."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_studies import fake_study, run_fake
from fake_targets import LayeredTarget
from measured_cases import separable_network

from npu_tune.errors import ModelError, NpuTuneWarning, StudyMismatchError, UsageError
from npu_tune.evaluation.pool.inline import InlinePool
from npu_tune.network import load_network
from npu_tune.targets import load_target
from npu_tune.tuning import load_study_file, open_problem, run_study
from npu_tune.tuning.problems import SEEDED_INPUTS
from npu_tune.tuning.sections import ModelSection

CPU = {"model": {"path": "small.onnx", "calibration": "inputs.npz"}}
CPU["target"] = {"name": "cpu-onnxruntime"}


@pytest.fixture
def onnx_file(tmp_path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(separable_network().model_bytes)
    return path


@pytest.fixture
def inputs(tmp_path) -> Path:
    path = tmp_path / "inputs.npz"
    values = np.random.default_rng(1).uniform(-1, 1, (6, 3, 16, 16)).astype(np.float32)
    np.savez(path, x=values)
    return path


def seeded_warnings(section: ModelSection) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_problem(section, load_target("cpu-onnxruntime")).close()
    return [str(each.message) for each in caught if str(each.message) == SEEDED_INPUTS]


def test_calibration_reaches_the_target(onnx_file, inputs):
    section = ModelSection(path=str(onnx_file), calibration=inputs)
    with open_problem(section, load_target("cpu-onnxruntime")) as problem:
        with np.load(inputs) as given:
            np.testing.assert_array_equal(problem.target.data.calibration["x"], given["x"])
        assert problem.identity.fingerprint["calibration"] != "seeded"


def test_a_file_without_calibration_is_warned_of(onnx_file, inputs):
    assert seeded_warnings(ModelSection(path=str(onnx_file))) == [SEEDED_INPUTS]
    assert not seeded_warnings(ModelSection(path=str(onnx_file), calibration=inputs))


def test_a_built_in_network_is_taken_as_float_and_not_warned_of():
    assert not seeded_warnings(ModelSection(path="ds-cnn"))
    with open_problem(ModelSection(path="ds-cnn"), load_target("cpu-onnxruntime")) as problem:
        assert problem.network.format == "onnx"


def test_calibration_that_does_not_fit_is_refused(onnx_file, tmp_path):
    np.savez(tmp_path / "wrong.npz", x=np.zeros((2, 3, 8, 8), np.float32))
    section = ModelSection(path=str(onnx_file), calibration=tmp_path / "wrong.npz")
    with pytest.raises(ModelError, match="shape"):
        open_problem(section, load_target("cpu-onnxruntime"))


def test_tflite_needs_no_calibration_and_is_refused_without(tmp_path, inputs):
    path = tmp_path / "small.tflite"
    path.write_bytes(load_network("ds-cnn").model_bytes)
    target = load_target("cpu-onnxruntime")
    with pytest.raises(UsageError, match="TFLite"):
        open_problem(ModelSection(path=str(path), calibration=inputs), target)
    with pytest.raises(ModelError, match="float ONNX"):
        open_problem(ModelSection(path=str(path)), target)


def test_a_study_keeps_its_inputs_and_goes_on_after_it_was_moved(tmp_path, onnx_file, inputs):
    first = run_study(fake_study(tmp_path / "s", 2, **CPU))
    assert (tmp_path / "s" / "calibration.npz").read_bytes() == inputs.read_bytes()
    moved = tmp_path / "elsewhere" / "s"
    moved.parent.mkdir()
    (tmp_path / "s").rename(moved)
    inputs.unlink()
    onnx_file.unlink()
    study = load_study_file(moved / "study.toml")
    assert study.model.calibration == moved / "calibration.npz"
    more = study.model_copy(update={"study": study.study.model_copy(update={"evaluations": 3})})
    again = run_study(more)
    assert len(again.trials) > len(first.trials)
    assert again.trials[0].metrics == first.trials[0].metrics


def test_a_study_with_other_inputs_is_another_study(tmp_path, onnx_file, inputs):
    run_study(fake_study(tmp_path / "s", 1, **CPU))
    kept = (tmp_path / "s" / "calibration.npz").read_bytes()
    np.savez(inputs, x=np.zeros((6, 3, 16, 16), np.float32))
    with pytest.raises(StudyMismatchError):
        run_study(fake_study(tmp_path / "s", 2, **CPU))
    assert (tmp_path / "s" / "calibration.npz").read_bytes() == kept


def test_inputs_that_an_earlier_attempt_has_left_are_replaced(tmp_path, onnx_file, inputs):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "calibration.npz").write_bytes(b"of another attempt")
    run_study(fake_study(tmp_path / "s", 1, **CPU))
    assert (tmp_path / "s" / "calibration.npz").read_bytes() == inputs.read_bytes()


class MeasuredAlone(LayeredTarget):
    """Says that two evaluations at a time are of use."""

    def bind(self, network):
        problem = super().bind(network)
        problem.most_workers = 2
        return problem


@pytest.mark.parametrize(("workers", "warned"), [(5, True), (2, False), (None, False)])
def test_no_more_workers_start_than_are_of_use(tmp_path, monkeypatch, workers, warned):
    asked = []

    def inline_instead(executor, problem):
        asked.append(executor.capacity)
        return InlinePool(problem)

    monkeypatch.setattr("npu_tune.tuning.evaluators.make_pool", inline_instead)
    monkeypatch.setattr("npu_tune.tuning.run_sections.os.cpu_count", lambda: 8, raising=False)
    executor = {"kind": "process"} | ({} if workers is None else {"workers": workers})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_fake(tmp_path / "s", 9, target=MeasuredAlone(), executor=executor)
    assert asked[0] <= 2
    said = [str(w.message) for w in caught if issubclass(w.category, NpuTuneWarning)]
    assert any("measures 2 at a time" in each for each in said) is warned


def test_the_kept_network_is_the_float_one(tmp_path, onnx_file, inputs):
    run_study(fake_study(tmp_path / "s", 1, **CPU))
    kept = onnx.load(tmp_path / "s" / "model.onnx")
    assert [node.op_type for node in kept.graph.node].count("Conv") == 3
