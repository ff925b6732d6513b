"""Runs one network as float ONNX in onnxruntime and as int8 TFLite in LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from npu_tune.network import Network, network_from_bytes
from npu_tune.network.quantize import Conversion, convert

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


def run_tflite(conversion: Conversion, feed: list[Array]) -> list[Array]:
    """Runs the int8 file; takes and gives real values in ONNX's order of dimensions."""
    interpreter = Interpreter(model_content=conversion.model_bytes)
    interpreter.allocate_tensors()
    for detail, value, order in zip(
        interpreter.get_input_details(), feed, conversion.input_permutations, strict=True
    ):
        scale, zero_point = detail["quantization"]
        codes = np.rint(value.transpose(order) / scale) + zero_point
        interpreter.set_tensor(detail["index"], np.clip(codes, -128, 127).astype(np.int8))
    interpreter.invoke()
    results = []
    for detail, order in zip(
        interpreter.get_output_details(), conversion.output_permutations, strict=True
    ):
        scale, zero_point = detail["quantization"]
        codes = interpreter.get_tensor(detail["index"]).astype(np.float64)
        results.append(((codes - zero_point) * scale).transpose(np.argsort(order)))
    return results


def signal_to_noise_db(
    network: Network,
    *,
    inputs: Callable[..., dict[str, Array]] = uniform_inputs,
    samples: int = 64,
    held_out: int = 4,
) -> list[float]:
    """10 log10(signal power / error power) of every output, on inputs not calibrated with."""
    conversion = convert(network, calibration=inputs(network, samples=samples, seed=1))
    feeds = inputs(network, samples=held_out, seed=2)
    signal, noise = np.zeros(len(network.outputs)), np.full(len(network.outputs), 1e-30)
    for index in range(held_out):
        feed = {
            name: feeds[name][index * shape[0] : (index + 1) * shape[0]]
            for name, shape in _shapes(network).items()
        }
        wanted = run_onnx(network, feed)
        got = run_tflite(conversion, list(feed.values()))
        for place, (want, have) in enumerate(zip(wanted, got, strict=True)):
            assert want.shape == have.shape
            reference = want.astype(np.float64)
            signal[place] += np.sum(np.square(reference))
            noise[place] += np.sum(np.square(reference - have))
    return [float(value) for value in 10.0 * np.log10(signal / noise)]
