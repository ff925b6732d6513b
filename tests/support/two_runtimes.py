"""Networks as float ONNX in onnxruntime and as int8 TFLite in LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from npu_tune.network import Network, network_from_bytes
from npu_tune.network.quantize import Conversion, check_conversion, convert
from npu_tune.network.quantize.runtimes import ConvertedNetwork

Array = NDArray[Any]


def onnx_model(
    body: str, weights: Mapping[str, Array] | None = None, *, opset: int = 13
) -> onnx.ModelProto:
    """A model from ONNX's text form: ``(float[1,3,8,8] x) => (float y) { y = Relu(x) }``."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> test {body}')
    for name, value in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return model


def onnx_network(model: onnx.ModelProto, name: str = "test") -> Network:
    return network_from_bytes(model.SerializeToString(), "onnx", name)


def uniform_inputs(network: Network, *, samples: int, seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(-1.0, 1.0, (samples * shape[0], *shape[1:])).astype(np.float32)
        for name, shape in _shapes(network).items()
    }


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: network.tensors[name].shape for name in network.inputs}


def run_onnx(network: Network, feed: Mapping[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(network.model_bytes, options)
    return session.run(
        None, {name: value.astype(network.tensors[name].dtype) for name, value in feed.items()}
    )


def run_tflite(conversion: Conversion, feed: Mapping[str, Array]) -> list[Array]:
    """Runs the int8 file; takes and gives real values in ONNX's order of dimensions."""
    return ConvertedNetwork(conversion).run(feed, [each.source for each in conversion.outputs])


def signal_to_noise_db(
    network: Network,
    *,
    inputs: Callable[..., dict[str, Array]] = uniform_inputs,
    samples: int = 64,
    held_out: int = 4,
) -> list[float]:
    """Decibels of every output, on inputs not calibrated with."""
    conversion = convert(
        network, calibration=inputs(network, samples=samples, seed=1), check=False
    )
    check = check_conversion(
        network, conversion, calibration=inputs(network, samples=held_out, seed=2)
    )
    return [each.decibels for each in check.deciding]
