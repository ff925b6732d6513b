"""Networks: the content of a model file as plain values, without objects of any framework.

Readers and writers are imported when they are first used, so that importing a class is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes
from npu_tune.network.model import Layer, Network, Quantization, Tensor, printable_names

if TYPE_CHECKING:
    from npu_tune.network.load import is_built_in, load_network
    from npu_tune.network.quantize import load_calibration, quantize_to_tflite, to_int8
    from npu_tune.network.read import network_from_bytes, read_network
    from npu_tune.network.zoo import zoo_names, zoo_network

__all__ = [
    "Layer",
    "Network",
    "Quantization",
    "Tensor",
    "is_built_in",
    "load_calibration",
    "load_network",
    "network_from_bytes",
    "printable_names",
    "quantize_to_tflite",
    "read_network",
    "to_int8",
    "zoo_names",
    "zoo_network",
]

_HOMES = {
    "is_built_in": "npu_tune.network.load",
    "load_calibration": "npu_tune.network.quantize",
    "load_network": "npu_tune.network.load",
    "network_from_bytes": "npu_tune.network.read",
    "quantize_to_tflite": "npu_tune.network.quantize",
    "read_network": "npu_tune.network.read",
    "to_int8": "npu_tune.network.quantize",
    "zoo_names": "npu_tune.network.zoo",
    "zoo_network": "npu_tune.network.zoo",
}


__getattr__ = lazy_attributes(__name__, _HOMES)
