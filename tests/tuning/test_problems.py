from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from chained_convolutions import chain_with_outliers
from fake_targets import LayeredTarget, fake_network

from npu_tune.errors import (
    ConversionError,
    ModelError,
    ModelFormatError,
    NpuTuneWarning,
    UsageError,
)
from npu_tune.evaluation.pool import Binding
from npu_tune.network import Network, load_network, zoo_network
from npu_tune.tuning import open_problem
from npu_tune.tuning.sections import ModelSection


@dataclass(frozen=True)
class TfliteOnly(LayeredTarget):
    """Reads TFLite, as Vela does."""

    def check(self, network: Network) -> None:
        if network.format != "tflite":
            raise ModelFormatError("It reads TFLite.")


@dataclass(frozen=True)
class Choosy(LayeredTarget):
    """Reads ONNX and refuses what is in it."""

    def check(self, network: Network) -> None:
        raise ModelError(f"No pool holds a layer of this {network.format} file.")


def network_of(section: ModelSection, target: LayeredTarget) -> Network:
    with open_problem(section, target) as problem:
        return problem.network


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(zoo_network("ds-cnn", format="onnx").model_bytes)
    return path


@pytest.fixture
def no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


def test_a_built_in_network_is_onnx_where_the_target_reads_it(no_onnxruntime):
    network = network_of(ModelSection(path="st-mnist"), LayeredTarget())
    assert network.format == "onnx"
    assert network.digest == zoo_network("st-mnist").digest


def test_a_built_in_network_is_the_zoos_own_tflite_where_the_target_reads_no_onnx():
    network = network_of(ModelSection(path="ds-cnn"), TfliteOnly())
    assert network.model_bytes == load_network("ds-cnn").model_bytes
    assert network.format == "tflite"


def test_a_file_wins_over_a_built_in_network_of_its_name(tmp_path, monkeypatch, onnx_file):
    monkeypatch.chdir(tmp_path)
    onnx_file.rename(tmp_path / "resnet8")
    with pytest.raises(ModelError, match="resnet8"):  # no ending says what it is
        open_problem(ModelSection(path="resnet8"), LayeredTarget())


def test_an_onnx_file_stays_onnx_where_the_target_reads_it(no_onnxruntime, onnx_file):
    network = network_of(ModelSection(path=str(onnx_file)), LayeredTarget())
    assert network.model_bytes == onnx_file.read_bytes()


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_an_onnx_file_is_made_int8_where_the_target_reads_none(onnx_file):
    network = network_of(ModelSection(path=str(onnx_file)), TfliteOnly())
    assert network.format == "tflite"
    assert not network.is_float


@pytest.mark.parametrize("path", ["ds-cnn", None])
def test_a_model_that_is_read_and_refused_is_not_converted_first(no_onnxruntime, path, onnx_file):
    with pytest.raises(ModelError, match="of this onnx file"):
        open_problem(ModelSection(path=path or str(onnx_file)), Choosy())


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_an_int8_form_that_keeps_too_little_is_refused_unless_nothing_is_compared():
    network = chain_with_outliers(3, 1)
    with pytest.raises(ConversionError, match="'c1'"):
        open_problem(ModelSection(path="none"), TfliteOnly(), network=network)
    section = ModelSection(path="none", check=False)
    with open_problem(section, TfliteOnly(), network=network) as problem:
        # What workers bind is the finished network.
        assert Binding.of(problem).parts[1].format == "tflite"


def test_calibration_data_for_a_built_in_network_are_refused():
    section = ModelSection(path="ds-cnn", calibration=Path("samples.npz"))
    with pytest.raises(UsageError, match="of no use"):
        open_problem(section, LayeredTarget())


def test_a_network_at_hand_is_taken_instead_of_the_one_that_is_named():
    network = fake_network()
    with open_problem(ModelSection(path="none.onnx"), LayeredTarget(), network=network) as problem:
        assert problem.network is network


def test_a_network_at_hand_is_made_int8_where_the_target_needs_that():
    network = zoo_network("ds-cnn", format="onnx")
    with (
        pytest.warns(NpuTuneWarning, match="no calibration data"),
        open_problem(ModelSection(path="none"), TfliteOnly(), network=network) as problem,
    ):
        assert problem.network.format == "tflite"


def test_a_network_at_hand_that_the_target_cannot_take_is_refused():
    network = replace(fake_network(), format="tosa")
    with pytest.raises(ModelFormatError, match="reads TFLite"):
        open_problem(ModelSection(path="none"), TfliteOnly(), network=network)
