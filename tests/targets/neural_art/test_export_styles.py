"""What is predicted for a network does not depend on who wrote its file, and how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
from export_styles import STYLES, old_clipping, styled

from npu_tune.network import Network, read_network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target

MOST = 0.02
COMPARED = (
    "latency_ms",
    "ram_bytes",
    "peak_live_bytes",
    "flash_bytes",
    "hardware_epochs",
    "software_epochs",
)
NETWORKS = ("mobilenet-v2-0.35-96-c5", "squeezenet-96-c5", "resnet8")
OF_GATES = (
    "channels_last_everywhere",
    "factors_and_offsets",
    "hard_functions",
    "means_without_dimensions",
    "quantized_and_channels_last",
    "vectors_as_products",
)
REAL = {
    "tflite/coral_mobilenet_v1_0.25_128.tflite": "mobilenet-v1-0.25-128-c1001",
    "tflite/coral_mobilenet_v1_0.5_160.tflite": "mobilenet-v1-0.5-160-c1001",
    "tflite/coral_tf2_mobilenet_v2_1.0_224_ptq.tflite": "mobilenet-v2",
    "tflite/mlperf_ad_autoencoder.tflite": "autoencoder",
    "tflite/mlperf_ic_resnet8.tflite": "resnet8",
    "tflite/mlperf_kws_dscnn.tflite": "ds-cnn",
    "tflite/mlperf_vww_mobilenetv1_025.tflite": "mobilenet-v1-0.25-96-c2",
    "tflite/tflm_person_detect.tflite": "mobilenet-v1-0.25-96-gray-c2",
    "onnx/match_kws_dscnn_fp16.onnx": "ds-cnn",
}


def predicted(network: Network) -> Mapping[str, float]:
    with load_target("neural-art-stm32n6", {}).bind(network) as problem:
        metrics = problem.evaluate(problem.space.default).metrics
    return {name: metrics[name] for name in COMPARED}


def alike(metrics: Mapping[str, float]) -> object:
    return pytest.approx(metrics, rel=MOST)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_prediction_is_that_of_the_plain_file(name: str, style: str) -> None:
    network = zoo_network(name)
    assert predicted(styled(network, STYLES[style])) == alike(predicted(network))


@pytest.mark.parametrize("style", OF_GATES)
def test_gates_are_recognized_however_they_are_written(style: str) -> None:
    network = zoo_network("efficientnet-v2-b0-96-c5")
    assert predicted(styled(network, STYLES[style])) == alike(predicted(network))


def test_old_operator_sets_are_predicted_alike() -> None:
    network = zoo_network("mobilenet-v1-0.25-96-c5")
    assert predicted(styled(network, old_clipping)) == alike(predicted(network))


@pytest.mark.parametrize("style", STYLES)
def test_every_style_writes_some_network_otherwise(style: str) -> None:
    networks = [zoo_network(name) for name in (*NETWORKS, "efficientnet-v2-b0-96-c5")]
    assert any(contents(styled(one, STYLES[style])) != contents(one) for one in networks)


def contents(network: Network) -> list[bytes]:
    """Nodes and weights as the file has them."""
    graph = onnx.load_from_string(network.model_bytes).graph
    return [one.SerializeToString() for one in (*graph.node, *graph.initializer)]


@pytest.mark.parametrize(
    "name",
    ["mobilenet-v1-0.25-96-c5", "mobilenet-v1-0.25-96-gray-c5", "resnet8", "resnet32", "st-mnist"],
)
def test_onnx_and_tflite_are_predicted_alike(name: str) -> None:
    as_tflite = predicted(zoo_network(name, format="tflite"))
    assert as_tflite == alike(predicted(zoo_network(name)))


@pytest.mark.parametrize("file", REAL)
def test_real_files_are_predicted_as_the_built_in_network_of_their_kind(
    shared_models: Path, file: str
) -> None:
    real = predicted(read_network(shared_models / file))
    assert real == alike(predicted(zoo_network(REAL[file])))
