"""The real networks that benchmarks run on, by short name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from npu_tune.network import Network, read_network

FILES = {
    "kws_dscnn": "mlperf_kws_dscnn",
    "resnet8": "mlperf_ic_resnet8",
    "vww": "mlperf_vww_mobilenetv1_025",
    "person_detect": "tflm_person_detect",
    "mobilenet_v1_0.5": "coral_mobilenet_v1_0.5_160",
    "mcunet_vww": "mcunet_vww",
    "yolo_fastest": "emza_yolo_fastest_face_320",
    "tf2_mobilenet_v2": "coral_tf2_mobilenet_v2_1.0_224_ptq",
    "ad_autoencoder": "mlperf_ad_autoencoder",
}


def models_folder() -> Path:
    """The folder of the tests' networks; ends the program where it is absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "models"
    folder = Path(os.environ.get("NPU_TUNE_MODELS", default))
    if not folder.is_dir():
        sys.exit(f"The networks of the benchmarks are not at {folder}; set NPU_TUNE_MODELS.")
    return folder


def benchmark_network(name: str) -> Network:
    """One of the networks."""
    return read_network(benchmark_path(name), name=name)


def benchmark_path(name: str) -> Path:
    """The file of one of the networks."""
    return models_folder() / "tflite" / f"{FILES[name]}.tflite"


def allows_cpu(name: str) -> bool:
    """True for the network whose first and last operators Vela leaves on the CPU."""
    return name == "mcunet_vww"
